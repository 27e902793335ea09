package strict_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/strict"
)

type order struct {
	Base
	Item   string            `json:"item"`
	Count  int8              `json:"count"`
	Price  float64           `json:"price"`
	Lines  []line            `json:"lines"`
	Labels map[string]line   `json:"labels"`
	Due    time.Time         `json:"due"`
	Parent *order            `json:"parent"`
	Pair   [2]uint8          `json:"pair"`
	Extra  json.RawMessage   `json:"extra"`
	Sum    int64             `json:"sum,string"`
	Code   code              `json:"code"`
	Photo  []byte            `json:"photo"`
	Gift   bool              `json:"gift"`
	Any    any               `json:"any"`
	Plain  map[int]string    `json:"plain"`
	Hidden string            `json:"-"`
	Note   map[string]string `json:"note"`
}

// Base is embedded, so that its fields are those of an order.
type Base struct {
	ID   string `json:"id"`
	Item int    `json:"item"` // hidden by that of the order
}

type line struct {
	SKU   string
	Count uint `json:"count,omitempty"`
}

// code reads JSON itself.
type code string

func (c *code) UnmarshalText(text []byte) error {
	if *c = code(text); len(text) != 3 {
		return fmt.Errorf("secret %q", text)
	}
	return nil
}

func decode(t *testing.T, text string, extra strict.Members) (*order, []string) {
	t.Helper()
	typ, err := strict.Of(reflect.TypeFor[order]())
	require.NoError(t, err)
	var in order
	var problems []string
	for _, p := range typ.Decode([]byte(text), &in, extra) {
		problems = append(problems, p.Pointer+": "+p.Text)
	}
	return &in, problems
}

func TestType_Decode_fits(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, text string
		want       order
	}{
		{"nothing", `{}`, order{}},
		{"white space", " {\n\"item\" :\t\"apple\" , \"count\":3 } ", order{Item: "apple", Count: 3}},
		{"an embedded field", `{"id":"7"}`, order{Base: Base{ID: "7"}}},
		{"a name with an escape", `{"it\u0065m":"apple"}`, order{Item: "apple"}},
		{"another order", `{"count":1,"item":"pear"}`, order{Item: "pear", Count: 1}},
		{"null for a member", `{"item":null,"lines":null,"parent":null,"due":null}`, order{}},
		{
			"inside of lists and maps", `{"lines":[{"SKU":"a"},{"count":2}],"labels":{"x":{"SKU":"b"}}}`,
			order{Lines: []line{{SKU: "a"}, {Count: 2}}, Labels: map[string]line{"x": {SKU: "b"}}},
		},
		{"a type inside itself", `{"parent":{"parent":{"item":"x"}}}`, order{Parent: &order{Parent: &order{Item: "x"}}}},
		{"what takes everything", `{"extra":{"a":[1,{"b":2}]},"any":"x"}`, order{Extra: json.RawMessage(`{"a":[1,{"b":2}]}`), Any: "x"}},
		{"a number in a string", `{"sum":"12"}`, order{Sum: 12}},
		{"base64", `{"photo":"AAE="}`, order{Photo: []byte{0, 1}}},
		{"the last value of a name", `{"item":7,"count":1,"item":"last"}`, order{Item: "last", Count: 1}},
		{"the last object, not both merged", `{"parent":{"item":"a","count":1},"parent":{"item":"b"}}`, order{Parent: &order{Item: "b"}}},
		{"the last array, with nothing of the first", `{"lines":[{"SKU":"a","count":1}],"lines":[{"SKU":"b"}]}`, order{Lines: []line{{SKU: "b"}}}},
		{"what is hidden does not matter", `{"parent":{"zzz":1},"parent":{}}`, order{Parent: &order{}}},
		{"what the route is selected by", `{"action":"order","item":"a"}`, order{Item: "a"}},
		{"and below", `{"parent":{"kind":"x","item":"a"}}`, order{Parent: &order{Item: "a"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, problems := decode(t, tt.text, strict.Members{"action": nil, "parent": {"kind": {}}})
			require.Nil(t, problems)
			require.Equal(t, &tt.want, got)
		})
	}
}

func TestType_Decode_refuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"no JSON", `{"item":`, []string{": not valid JSON"}},
		{"nothing at all", ``, []string{": not valid JSON"}},
		{"text after the end", `{} {}`, []string{": not valid JSON"}},
		{"an array", `[]`, []string{": want object, got array"}},
		{"null", `null`, []string{": want object, got null"}},
		{"an unknown name", `{"itme":"apple"}`, []string{"/itme: unknown field"}},
		{"another case", `{"Item":"apple","ITEM":"apple"}`, []string{"/Item: unknown field", "/ITEM: unknown field"}},
		{"a hidden field", `{"Hidden":"x","-":"x"}`, []string{"/Hidden: unknown field", "/-: unknown field"}},
		{"the name of an embedded struct", `{"Base":{}}`, []string{"/Base: unknown field"}},
		{"several problems", `{"item":1,"count":"x","gift":"yes","lines":{}}`, []string{
			"/item: want string, got number", "/count: want integer, got string", "/gift: want boolean, got string", "/lines: want array, got object",
		}},
		{"deep inside", `{"lines":[{},{"count":-1,"a/b~c":1}],"labels":{"x y":{"q":1}}}`, []string{
			"/lines/1/count: want an integer from 0 to 18446744073709551615", "/lines/1/a~1b~0c: unknown field", "/labels/x y/q: unknown field",
		}},
		{"a number that is too large", `{"count":128}`, []string{"/count: want an integer from -128 to 127"}},
		{"a fraction", `{"count":1.5}`, []string{"/count: want integer, got number"}},
		{"a float that is too large", `{"price":1e999}`, []string{"/price: want a smaller number"}},
		{"too many items", `{"pair":[1,2,3]}`, []string{"/pair: want at most 2 items"}},
		{"a time", `{"due":"tomorrow"}`, []string{"/due: not a valid Time"}},
		{"a type's own check, without its text", `{"code":"private"}`, []string{"/code: not a valid code"}},
		{"a number that is not in its string", `{"sum":12}`, []string{"/sum: want string, got number"}},
		{"no base64", `{"photo":"?"}`, []string{"/photo: want base64 text"}},
		{"a key of a map", `{"plain":{"x":"y"}}`, []string{"/plain: does not fit"}},
		{"the last value of a name", `{"item":"a","item":7}`, []string{"/item: want string, got number"}},
		{"a name is on one line", `{"a\nb\u2028":1}`, []string{`/a\nb\u2028: unknown field`}},
		{"a long name is cut", `{"` + strings.Repeat("x", 1000) + `":1}`, []string{"/" + strings.Repeat("x", 64) + "…: unknown field"}},
		{"what selects the route elsewhere", `{"parent":{"action":"x"}}`, []string{"/parent/action: unknown field"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, problems := decode(t, tt.text, strict.Members{"action": {}})
			require.Equal(t, tt.want, problems)
		})
	}
}

func TestType_Decode_isBounded(t *testing.T) {
	t.Parallel()
	_, problems := decode(t, `{"a":`+strings.Repeat(`1,"a":`, 10_000)+`1}`, nil)
	require.Len(t, problems, 10)
	_, problems = decode(t, strings.Repeat(`{"parent":`, 9_000)+`{"x":1}`+strings.Repeat("}", 9_000), nil)
	require.Len(t, problems, 1)
	require.LessOrEqual(t, len(problems[0]), 300)
	_, problems = decode(t, strings.Repeat(`{"parent":`, 20_000)+`1`+strings.Repeat("}", 20_000), nil)
	require.Equal(t, []string{": not valid JSON"}, problems, "too deep for encoding/json")
}

func TestType_Decode_manyFields(t *testing.T) {
	t.Parallel()
	var fields []reflect.StructField
	text := "{"
	for i := range 200 {
		fields = append(fields, reflect.StructField{Name: fmt.Sprintf("F%d", i), Type: reflect.TypeFor[[]int]()})
		text += fmt.Sprintf(`"F%d":[%d],`, i, i)
	}
	typ, err := strict.Of(reflect.StructOf(fields))
	require.NoError(t, err)
	in := reflect.New(reflect.StructOf(fields))
	require.Nil(t, typ.Decode([]byte(text+`"F199":[7]}`), in.Interface(), nil))
	require.Equal(t, []int{7}, in.Elem().Field(199).Interface())
	require.Equal(t, []int{63}, in.Elem().Field(63).Interface())
}

func TestOf(t *testing.T) {
	t.Parallel()
	type self *self
	for _, tt := range []struct {
		typ  reflect.Type
		want string
	}{
		{reflect.TypeFor[chan int](), "the type chan int has no form in JSON: remove it, or hide its field with the tag `json:\"-\"`"},
		{reflect.TypeFor[struct {
			A struct {
				B func() `json:"b"`
			} `json:"a"`
		}](), `field "a" of `},
		{reflect.TypeFor[map[string]complex128](), "complex128"},
		{reflect.TypeFor[error](), "cannot be decoded into the interface error"},
		{reflect.TypeFor[self](), "points to itself"},
	} {
		_, err := strict.Of(tt.typ)
		require.ErrorContains(t, err, tt.want)
	}
	require.NoError(t, strict.CheckEncoding(reflect.TypeFor[error]()))
	require.ErrorContains(t, strict.CheckEncoding(reflect.TypeFor[chan int]()), "has no form in JSON")
	require.NoError(t, strict.CheckEncoding(reflect.TypeFor[struct {
		F func() `json:"-"`
	}]()))
}

// What fits here also fits encoding/json with DisallowUnknownFields, and has the same value.
// What fits there fits here, except for names in another case, names that occur twice, and
// arrays that are too long.
func FuzzType_Decode(f *testing.F) {
	for _, seed := range []string{
		`{"item":"a","count":1}`, `{"lines":[{"SKU":"a"}],"pair":[1,2]}`, `{"parent":{"id":"x"}}`, `null`, `{"item":1}`,
		`{"item":"a","item":"b"}`, `{"due":"2024-01-20T12:54:57Z","code":"abc"}`, `{"ITEM":"a"}`, `[`, `{"x":{}}`, `{"sum":"7","any":[1,{}]}`,
	} {
		f.Add([]byte(seed))
	}
	typ, err := strict.Of(reflect.TypeFor[order]())
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, text []byte) {
		before := string(text)
		var got, want order
		problems := typ.Decode(text, &got, nil)
		require.Equal(t, before, string(text))
		for _, p := range problems {
			require.NotEmpty(t, p.Text)
			require.LessOrEqual(t, len(p.Pointer), 300)
		}
		d := json.NewDecoder(strings.NewReader(before))
		d.DisallowUnknownFields()
		err := errors.Join(d.Decode(&want), trailing(d))
		if problems == nil && onlyOnce(text) {
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
		if err == nil && problems != nil {
			for _, p := range problems {
				require.True(t, p.Text == "unknown field" || strings.HasPrefix(p.Text, "want at most ") || p.Text == "want object, got null" || !onlyOnce(text), "%s: %s", p.Pointer, p.Text)
			}
		}
	})
}

func trailing(d *json.Decoder) error {
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("text after the end")
	}
	return nil
}

// onlyOnce reports whether no name occurs twice in an object of text, which is valid JSON.
func onlyOnce(text []byte) bool {
	return once(json.NewDecoder(bytes.NewReader(text)))
}

func once(d *json.Decoder) bool {
	token, _ := d.Token()
	unique := true
	names := map[json.Token]bool{}
	if token != json.Delim('{') && token != json.Delim('[') {
		return true
	}
	for d.More() {
		if token == json.Delim('{') {
			name, _ := d.Token()
			unique = unique && !names[name]
			names[name] = true
		}
		unique = once(d) && unique
	}
	_, _ = d.Token() // the end
	return unique
}
