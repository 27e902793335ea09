package command_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/command"
)

func TestParse(t *testing.T) {
	t.Parallel()
	type header = map[string][]string
	type commands = command.Commands
	for name, row := range map[string]struct {
		header header
		want   *commands
	}{
		"no headers":                       {nil, nil},
		"other headers":                    {header{"Content-Type": {"text/plain"}, "X-Gateway-Join": {"a"}, "Gateway": {"a"}}, nil},
		"no values":                        {header{"Gateway-Join": {}}, nil},
		"join":                             {header{"Gateway-Join": {"room-1, room-2"}}, &commands{Join: []string{"room-1", "room-2"}}},
		"join, in several lines":           {header{"Gateway-Join": {"a,b", "", " c ,, d,\t"}}, &commands{Join: []string{"a", "b", "c", "d"}}},
		"a group twice":                    {header{"Gateway-Join": {"a, a"}}, &commands{Join: []string{"a"}}},
		"join nothing":                     {header{"Gateway-Join": {""}}, &commands{}},
		"any case":                         {header{"gateway-join": {"a"}, "GATEWAY-LEAVE": {"b"}}, &commands{Join: []string{"a"}, Leave: []string{"b"}}},
		"several spellings":                {header{"gateway-join": {"b"}, "GATEWAY-JOIN": {"a"}, "Gateway-Join": {}}, &commands{Join: []string{"a", "b"}}},
		"names that are encoded":           {header{"Gateway-Join": {"a%20b, c%2Cd, %C3%A9, e%3Bf, 100%25, Räume"}}, &commands{Join: []string{"a b", "c,d", "é", "e;f", "100%", "Räume"}}},
		"state: JSON":                      {header{"Gateway-State": {`{"seen": 3, "p": "50%25"}`}}, &commands{State: []byte(`{"seen": 3, "p": "50%25"}`)}},
		"state: JSON in several lines":     {header{"Gateway-State": {"{\n\t\"a\": \"é\"\r\n}"}}, &commands{State: []byte("{\n\t\"a\": \"é\"\r\n}")}},
		"state: text":                      {header{"Gateway-State": {" step 2 of 5 "}}, &commands{State: []byte("step 2 of 5")}},
		"state: text that is encoded":      {header{"Gateway-State": {"caf%C3%a9%0A100%25"}}, &commands{State: []byte("café\n100%")}},
		"state: removed":                   {header{"Gateway-State": {""}}, &commands{State: []byte{}}},
		"post to self":                     {header{"Gateway-Post": {"self"}}, &commands{Post: []command.Target{{Kind: "self"}}}},
		"post to everyone":                 {header{"Gateway-Post": {"everyone"}}, &commands{Post: []command.Target{{Kind: "everyone"}}}},
		"post to a group, without oneself": {header{"Gateway-Post": {"group room-1; except=self"}}, &commands{Post: []command.Target{{Kind: "group", Name: "room-1", Except: []string{"self"}}}}},
		"post to several": {
			header{"Gateway-Post": {"user ann;except = R1kmxc2VNjMCFIA= ; Except=self,connection  R1kmxc2VNjMCFIA=", "group a%2Cb"}},
			&commands{Post: []command.Target{{Kind: "user", Name: "ann", Except: []string{"R1kmxc2VNjMCFIA=", "self"}}, {Kind: "connection", Name: "R1kmxc2VNjMCFIA="}, {Kind: "group", Name: "a,b"}}},
		},
		"close":                   {header{"Gateway-Close": {"4001"}}, &commands{Close: &command.Closing{Code: 4001}}},
		"close, with a reason":    {header{"Gateway-Close": {" 4001  logged out, bye; %C3%BC "}}, &commands{Close: &command.Closing{Code: 4001, Reason: "logged out, bye; ü"}}},
		"a code that is not sent": {header{"Gateway-Close": {"9999"}}, &commands{Close: &command.Closing{Code: 9999}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := command.Parse(row.header)
			require.NoError(t, err)
			require.Equal(t, row.want, got)
		})
	}
}

func TestParse_Mistakes(t *testing.T) {
	t.Parallel()
	many := strings.Repeat("a,", 1001)
	for name, row := range map[string]struct {
		header string
		values []string
		want   string
	}{
		"unknown":                    {"Gateway-Jion", []string{"a"}, `"Gateway-Jion" is not a command, there are Gateway-Join, Gateway-Leave, Gateway-State, Gateway-Post, Gateway-Close: did you mean "Gateway-Join"?`},
		"unknown, like nothing":      {"Gateway-", []string{"a"}, `"Gateway-" is not a command, there are Gateway-Join`},
		"groups":                     {"Gateway-Groups", []string{"a"}, "Gateway-Groups is not a command: change the groups with Gateway-Join and Gateway-Leave"},
		"omitted":                    {"gateway-omitted", []string{"a"}, "gateway-omitted is not a command: the gateway writes it into requests"},
		"long names are cut":         {"Gateway-" + strings.Repeat("x", 1000), []string{"a"}, "xxx…"},
		"a blank in a name":          {"Gateway-Join", []string{"room 1"}, "Gateway-Join: a name has a blank, a quote"},
		"a quoted name":              {"Gateway-Join", []string{`"room"`}, "write %20 for a blank, %22 for a quote"},
		"a parameter":                {"Gateway-Leave", []string{"a;b"}, "Gateway-Leave: a name has"},
		"a line break in a name":     {"Gateway-Join", []string{"a\r\nSet-Cookie: x"}, "Gateway-Join: a name has"},
		"half an escape":             {"Gateway-Join", []string{"a%2"}, `Gateway-Join: a "%" has to be followed by two hexadecimal digits: write %25`},
		"no escape":                  {"Gateway-Join", []string{"100%zz"}, `a "%" has to be`},
		"a signed escape":            {"Gateway-Join", []string{"%+1"}, `a "%" has to be`},
		"ISO 8859-1":                 {"Gateway-Join", []string{"caf\xe9"}, "it is not valid UTF-8: many servers write ISO 8859-1"},
		"encoded ISO 8859-1":         {"Gateway-Join", []string{"caf%E9"}, "it is not valid UTF-8"},
		"too many names":             {"Gateway-Join", []string{many}, "more than 1000 elements"},
		"two states":                 {"Gateway-State", []string{"a", "b"}, "Gateway-State: the answer has 2 of it: write one"},
		"an escape in a state":       {"Gateway-State", []string{"secret 50%"}, `Gateway-State: a "%" has to be`},
		"a state in ISO 8859-1":      {"Gateway-State", []string{"\"secret \xe9\""}, "Gateway-State: it is not valid UTF-8"},
		"post to nobody":             {"Gateway-Post", []string{" ,"}, "Gateway-Post: it names nobody"},
		"post to what":               {"Gateway-Post", []string{"groop room-1"}, `"groop room-1": begin with self, connection, group, user or everyone: did you mean "group"?`},
		"post to a group, no name":   {"Gateway-Post", []string{"group"}, `write a name behind "group"`},
		"post to self, and more":     {"Gateway-Post", []string{"self except=self"}, `nothing comes behind "self"`},
		"except without a semicolon": {"Gateway-Post", []string{"group a except=self"}, "a name has a blank"},
		"another parameter":          {"Gateway-Post", []string{"group a; without=self"}, `only except may come behind ";"`},
		"no parameter":               {"Gateway-Post", []string{"group a;"}, `only except may come behind ";"`},
		"except nobody":              {"Gateway-Post", []string{"group a; except="}, "a name is empty"},
		"except too many":            {"Gateway-Post", []string{"everyone" + strings.Repeat(";except=a", 1001)}, "more than 1000 exceptions"},
		"post, a bad escape":         {"Gateway-Post", []string{"group a%"}, `"group a%": a "%" has to be`},
		"two closes":                 {"Gateway-Close", []string{"4001", "4002"}, "Gateway-Close: the answer has 2 of it: write one"},
		"close without a code":       {"Gateway-Close", []string{"logged out"}, `"logged out": begin with a close code of four digits`},
		"close, nothing":             {"Gateway-Close", []string{""}, "begin with a close code"},
		"a code with a sign":         {"Gateway-Close", []string{"+400"}, "begin with a close code"},
		"a long code":                {"Gateway-Close", []string{"04001"}, "begin with a close code"},
		"a reason, a bad escape":     {"Gateway-Close", []string{"4001 100%"}, `a "%" has to be`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := command.Parse(map[string][]string{row.header: row.values})
			require.ErrorContains(t, err, row.want)
			require.NotContains(t, err.Error(), "secret")
			require.Less(t, len(err.Error()), 700)
			require.Nil(t, got)
		})
	}
	_, err := command.Parse(map[string][]string{"Gateway-Join": {"a, b"}, "Gateway-Leave": {"b"}})
	require.EqualError(t, err, `Gateway-Join and Gateway-Leave both have the group "b": name it in one of them`)
	_, err = command.Parse(map[string][]string{"Gateway-Close": {"4001"}, "gateway-close": {"4002"}})
	require.EqualError(t, err, "Gateway-Close: the answer has 2 of it: write one")
}

func TestEncodeState(t *testing.T) {
	t.Parallel()
	for state, want := range map[string]string{
		`{"seen":3}`:           `{"seen":3}`,
		"{\r\n\t\"a\": \"b\"}": `{   "a": "b"}`,
		`{"p":"50%"}`:          `{"p":"50%"}`,
		`"é𝄞` + "\x7f" + `"`:   `"\u00e9\ud834\udd1e\u007f"`,
		" 12\n":                "12",
		"step 2 of 5":          "step 2 of 5",
		"50%":                  "50%25",
		" é\r\nSet-Cookie: x ": "%20%C3%A9%0D%0ASet-Cookie: x%20",
		"\"\n\"":               "%22%0A\"", // and not "%0A", which would be JSON
		"  ":                   "%20%20",
	} {
		require.Equal(t, want, command.EncodeState([]byte(state)), "%q", state)
	}
}

func TestEncodeGroups(t *testing.T) {
	t.Parallel()
	require.Equal(t, "room-1, a%20b%2Cc%3Bd%22, 100%25, %C3%A9", command.EncodeGroups([]string{"room-1", `a b,c;d"`, "100%", "é"}))
}

// What is too long is left out as a whole, and named.
func TestForRequest(t *testing.T) {
	t.Parallel()
	type headers = map[string]string
	fits := func(n int) []byte { return []byte(strings.Repeat("s", n)) }
	names := func(n int) []string { return []string{strings.Repeat("g", n-3), "h"} } // and ", " between them
	for name, row := range map[string]struct {
		principal string
		state     []byte
		groups    []string
		want      headers
	}{
		"nothing":          {"", nil, nil, nil},
		"state":            {"", []byte("1"), nil, headers{"Gateway-State": "1"}},
		"both, just fit":   {"", fits(4096), names(2048), headers{"Gateway-State": string(fits(4096)), "Gateway-Groups": strings.Join(names(2048), ", ")}},
		"a long state":     {"", fits(4097), []string{"a"}, headers{"Gateway-Groups": "a", "Gateway-Omitted": "Gateway-State"}},
		"many groups":      {"", []byte("1"), names(2049), headers{"Gateway-State": "1", "Gateway-Omitted": "Gateway-Groups"}},
		"both":             {"", fits(4097), names(2049), headers{"Gateway-Omitted": "Gateway-State, Gateway-Groups"}},
		"a principal":      {"José 1", nil, nil, headers{"Gateway-Principal": "Jos%C3%A9 1"}},
		"a long principal": {string(fits(513)), []byte("1"), nil, headers{"Gateway-State": "1", "Gateway-Omitted": "Gateway-Principal"}},
		"as it is encoded": {"", []byte(`"` + strings.Repeat("é", 700) + `"`), []string{strings.Repeat("é", 400)}, headers{"Gateway-Omitted": "Gateway-State, Gateway-Groups"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, row.want, command.ForRequest(row.principal, row.state, row.groups))
		})
	}
}

// What a backend gets, it can send back: the state is the same, or the same JSON, and the
// groups are the same. A header can hold both.
func FuzzEncode(f *testing.F) {
	f.Add(`{"a":"é"}`)
	f.Add("\"\x01\"")
	f.Add(" a, b; %41 ")
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) || text == "" {
			t.Skip("no state, and no name")
		}
		state, groups := command.EncodeState([]byte(text)), command.EncodeGroups([]string{text, "x"})
		for _, value := range []string{state, groups} {
			require.False(t, strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }), "%q", value)
			require.Equal(t, strings.TrimSpace(value), value)
		}
		got, err := command.Parse(map[string][]string{command.State: {state}, command.Join: {groups}})
		require.NoError(t, err)
		require.Contains(t, got.Join, text)
		if json.Valid([]byte(text)) {
			require.JSONEq(t, text, string(got.State))
		} else {
			require.Equal(t, text, string(got.State))
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"Join", "Leave", "State", "Post", "Close", "Jion", ""} {
		f.Add(name, "group room-1; except=self, everyone", "4001 b%C3%A9")
	}
	f.Fuzz(func(t *testing.T, name, first, second string) {
		got, err := command.Parse(map[string][]string{"Gateway-" + name: {first, second}, "Gateway-Join": {second}})
		if err != nil {
			require.Nil(t, got)
			require.True(t, utf8.ValidString(err.Error()) && !strings.ContainsAny(err.Error(), "\r\n\x00"), "%q", err.Error())
			return
		}
		for _, text := range append(append([]string{string(got.State)}, got.Join...), got.Leave...) {
			require.True(t, utf8.ValidString(text))
		}
		for _, target := range got.Post {
			require.NotEmpty(t, target.Kind)
			require.Equal(t, target.Kind == command.Self || target.Kind == command.Everyone, target.Name == "")
		}
	})
}
