package sigv4

import "net/http"

// Intermediate has the texts from which a signature is computed, for one reading of a
// request.
type Intermediate struct{ Path, CanonicalRequest, StringToSign string }

// Intermediates returns what v would compute for r, the usual reading first.
func (v *Verifier) Intermediates(r *http.Request, body []byte) ([]Intermediate, error) {
	m := newMessage(r)
	var a authorization
	if err := m.authorization(&a); err != nil {
		return nil, err
	}
	if err := v.check(&a, v.now()); err != nil {
		return nil, err
	}
	payload, _ := m.payload(&a, body, v.AllowUnsignedPayload)
	var (
		all   []Intermediate
		query canonicalQuery
	)
	for _, r := range m.readings(&a, nil) {
		query.read(&m, &a, r)
		canonical, _ := m.appendCanonical(nil, &a, r, &query, payload)
		all = append(all, Intermediate{r.path, string(canonical), string(a.appendToSign(nil, canonical))})
	}
	return all, nil
}
