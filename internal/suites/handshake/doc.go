// Package handshake tests the upgrade across the whole gateway. Everybody who looks at a
// request sees the same. Fuzz targets look for a request or a Close frame that confuses the
// gateway.
package handshake
