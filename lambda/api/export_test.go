package api

// SetMost sets how many functions, versions and aliases there may be. Call it before the first
// call.
func SetMost(s *Server, n int) { s.most = n }
