package gateway_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/internal/testutil"
	"example.com/gateway/lambda"
)

// told is what a backend is told of its connection, whatever language it is written in.
type told struct{ eventType, state, groups, body string }

// said is what it answers.
type said struct {
	status int
	header http.Header
	body   string
}

// asks returns an answer with a body and commands: pairs of a name and a value.
func asks(body string, commands ...string) said {
	header := http.Header{"Content-Type": {"text/plain"}}
	for n := 0; n < len(commands); n += 2 {
		header.Add(commands[n], commands[n+1])
	}
	return said{200, header, body}
}

// backends makes integrations of the same handler: a Go func, an HTTP endpoint, and a
// Lambda function.
func backends() map[string]func(tb testing.TB, serve func(told) said) gateway.Integration {
	return map[string]func(testing.TB, func(told) said) gateway.Integration{
		"Go": func(_ testing.TB, serve func(told) said) gateway.Integration {
			return gateway.IntegrationFunc(func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
				s := serve(told{string(req.EventType), string(req.State), strings.Join(req.Groups, "|"), string(req.Body)})
				return &gateway.Response{StatusCode: s.status, Header: s.header, Body: []byte(s.body)}, nil
			})
		},
		"HTTP": func(tb testing.TB, serve func(told) said) gateway.Integration {
			tb.Helper()
			e := testutil.NewBackend(tb, func(w http.ResponseWriter, r *http.Request) {
				var groups []string
				for _, values := range r.Header.Values("Gateway-Groups") {
					for name := range strings.SplitSeq(values, ", ") {
						decoded, _ := url.PathUnescape(name)
						groups = append(groups, decoded)
					}
				}
				body, _ := io.ReadAll(r.Body)
				s := serve(told{r.Header.Get("eventType"), r.Header.Get("Gateway-State"), strings.Join(groups, "|"), string(body)})
				for name, values := range s.header {
					w.Header()[name] = values
				}
				w.WriteHeader(s.status)
				_, _ = io.WriteString(w, s.body)
			})
			return &gateway.HTTPIntegration{URI: e.URL, CallbackURL: "http://gateway.internal"}
		},
		"Lambda": func(_ testing.TB, serve func(told) said) gateway.Integration {
			return lambda.Wrap(func(_ context.Context, req lambda.WebsocketRequest) (lambda.Response, error) {
				s := serve(told{req.RequestContext.EventType, req.RequestContext.State, strings.Join(req.RequestContext.Groups, "|"), req.Body})
				answer := lambda.Response{StatusCode: s.status, Body: s.body, Headers: map[string]string{}, MultiValueHeaders: map[string][]string{}}
				for name, values := range s.header {
					if len(values) == 1 {
						answer.Headers[name] = values[0]
					} else {
						answer.MultiValueHeaders[name] = values
					}
				}
				return answer, nil
			})
		},
	}
}

// eachBackend runs a test with each kind of backend, on every route.
func eachBackend(t *testing.T, serve func(told) said, test func(t *testing.T, srv *gatewaytest.Server, log *testutil.LockedBuffer), opts ...gateway.Option) {
	t.Helper()
	for name, integration := range backends() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := new(testutil.LockedBuffer)
			srv := gatewaytest.New(t, append([]gateway.Option{
				gateway.WithAnswerCommands(), gateway.WithLogger(slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))),
			}, opts...)...)
			i := integration(t, serve)
			srv.Handle("$connect", i)
			srv.Handle("$default", i, gateway.WithRouteResponse())
			srv.Handle("oneway", i)
			srv.Handle("$disconnect", i)
			test(t, srv, log)
		})
	}
}

// A chat whose backend makes no call: it remembers names, greets, posts to the room without
// the sender, says goodbye, and tells the others who has left.
func TestAnswerCommands(t *testing.T) {
	t.Parallel()
	serve := func(e told) said {
		action, rest, _ := strings.Cut(e.body, " ")
		switch {
		case e.eventType == "CONNECT":
			return asks("welcome", "Gateway-Post", "self", "Gateway-Join", "lobby", "Gateway-State", `{"n":0}`)
		case e.eventType == "DISCONNECT":
			return asks("left: "+e.state+" "+e.groups, "Gateway-Post", "group lobby, group room%201")
		case action == "enter":
			return asks("entered", "Gateway-Leave", "lobby", "Gateway-Join", "room%201, room%2C2", "Gateway-State", `{"name":"`+rest+`"}`)
		case action == "say":
			return asks(rest, "Gateway-Post", "group room%201; except=self")
		case action == "bye":
			return asks("bye", "Gateway-Close", "4001 logged out, see you%21")
		case action == "forget":
			return asks("forgotten", "Gateway-State", "", "Gateway-Leave", "room%201, room%2C2")
		default:
			return asks(e.state + " " + e.groups)
		}
	}
	eachBackend(t, serve, func(t *testing.T, srv *gatewaytest.Server, log *testutil.LockedBuffer) {
		ann, bob := srv.Dial(t), srv.Dial(t)
		require.Empty(t, ann.ResponseHeader().Values("Gateway-Join"), "not in the 101")
		for _, c := range []*gatewaytest.Client{ann, bob} {
			require.Equal(t, "welcome", c.Receive(), "right behind the 101")
			c.Send("who")
			require.Equal(t, `{"n":0} lobby`, c.Receive())
		}
		ann.Send("enter ann")
		require.Equal(t, "entered", ann.Receive())
		ann.Send("who")
		require.Equal(t, `{"name":"ann"} room 1|room,2`, ann.Receive())
		got, err := srv.GetConnection(t.Context(), ann.ConnectionID())
		require.NoError(t, err)
		require.Equal(t, `{"name":"ann"}`, string(got.State))
		require.Equal(t, []string{"room 1", "room,2"}, got.Groups)
		bob.Send("enter bob")
		require.Equal(t, "entered", bob.Receive())

		bob.Send("say hello")
		require.Equal(t, "hello", ann.Receive())
		bob.Send("who") // the answer, and not "hello", is next
		require.Equal(t, `{"name":"bob"} room 1|room,2`, bob.Receive())

		bob.Send("bye")
		require.Equal(t, "bye", bob.Receive())
		code, reason := bob.ReceiveClose()
		require.Equal(t, 4001, code)
		require.Equal(t, "logged out, see you!", reason)
		end := srv.WaitDisconnect(bob.ConnectionID())
		require.Equal(t, 4001, end.DisconnectStatusCode)
		require.Equal(t, `{"name":"bob"}`, string(end.State))
		require.Equal(t, `left: {"name":"bob"} room 1|room,2`, ann.Receive())

		ann.Send("forget")
		require.Equal(t, "forgotten", ann.Receive())
		ann.Send("who")
		require.Equal(t, " ", ann.Receive())
		require.NotContains(t, log.String(), "level=ERROR")
		require.NotContains(t, log.String(), "level=WARN")
	})
}

// Whatever is wrong with one command, none is done, the client learns nothing of it, and
// the log says what it is.
func TestAnswerCommands_Mistakes(t *testing.T) {
	t.Parallel()
	const join, state, post, closing = "Gateway-Join", "Gateway-State", "Gateway-Post", "Gateway-Close"
	for name, row := range map[string]struct {
		answer said
		log    string
	}{
		"unknown":                {asks("x", "Gateway-Jion", "a"), `did you mean \"Gateway-Join\"?`},
		"malformed":              {asks("x", join, "a b"), "write %20 for a blank"},
		"a long name":            {asks("x", join, strings.Repeat("a", 129)), "Gateway-Join: gateway: invalid argument: group: the name has 129 bytes"},
		"a step in a path":       {asks("x", join, "a, .."), "Gateway-Join: gateway: invalid argument: group: the name is . or .."},
		"a control character":    {asks("x", "Gateway-Leave", "a%0Ab"), "Gateway-Leave: gateway: invalid argument: group: the name has a control character"},
		"too many groups":        {asks("x", join, "a, b, c"), "the connection would be in 4 groups: let it leave some, or raise Quotas.GroupsPerConnection"},
		"in and out":             {asks("x", join, "a", "Gateway-Leave", "a"), "both have the group"},
		"a large state":          {asks("x", state, strings.Repeat("x", 33)), "Gateway-State: gateway: payload too large: the state has 33 bytes, Quotas.StateBytes is 32"},
		"two states":             {asks("x", state, "a", state, "b"), "Gateway-State: the answer has 2 of it"},
		"post to a bad group":    {asks("x", post, "everyone, group "+strings.Repeat("a", 129)), "Gateway-Post: gateway: invalid argument: group: the name has 129 bytes"},
		"post to whom":           {asks("x", post, "room-1"), "begin with self, connection, group, user or everyone"},
		"post nothing":           {asks("", post, "everyone"), "Gateway-Post: the answer has no body"},
		"post too much":          {asks(strings.Repeat("x", 65), post, "everyone"), "Gateway-Post: gateway: payload too large: 65 bytes"},
		"a code that is refused": {asks("x", closing, "1005"), "Gateway-Close: gateway: invalid argument: code: a Close frame must not have 1005"},
		"a long reason":          {asks("x", closing, "4001 "+strings.Repeat("x", 124)), "Gateway-Close: gateway: invalid argument: reason: it has 124 bytes"},
		"two closes":             {asks("x", closing, "4001", closing, "4002"), "Gateway-Close: the answer has 2 of it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			serve := func(e told) said {
				switch {
				case e.eventType == "CONNECT" && e.body == "" && strings.HasPrefix(e.state, "never"):
					return asks("")
				case e.eventType == "CONNECT":
					return asks("", join, "room", state, "kept")
				case e.body == "who":
					return asks(e.state + " " + e.groups)
				}
				answer := said{row.answer.status, row.answer.header.Clone(), row.answer.body}
				for _, more := range [][2]string{{join, "secret"}, {state, "secret"}, {post, "everyone"}, {closing, "4999"}} {
					if answer.header.Get(more[0]) == "" {
						answer.header.Set(more[0], more[1])
					}
				}
				return answer
			}
			eachBackend(t, serve, func(t *testing.T, srv *gatewaytest.Server, log *testutil.LockedBuffer) {
				c, other := srv.Dial(t), srv.Dial(t)
				for _, message := range []string{"x", `{"action":"oneway"}`} {
					c.Send(message)
					require.Contains(t, c.Receive(), `{"message": "Internal server error", "connectionId":"`)
				}
				c.Send("who")
				require.Equal(t, "kept room", c.Receive(), "nothing has changed")
				other.Send("who")
				require.Equal(t, "kept room", other.Receive(), "nothing was posted")
				require.Equal(t, 2, strings.Count(log.String(), "level=ERROR"), "%s", log)
				require.Contains(t, log.String(), row.log)
				require.NotContains(t, log.String(), "secret")
			}, gateway.WithQuotas(gateway.Quotas{GroupsPerConnection: 3, StateBytes: 32, MessageBytes: 64}))
		})
	}
}

// A reply that is too large for its client is a mistake, too. A body that nobody gets is none.
func TestAnswerCommands_ReplyTooLarge(t *testing.T) {
	t.Parallel()
	serve := func(e told) said {
		switch {
		case e.eventType != "MESSAGE":
			return asks("")
		case e.body == "who":
			return asks(e.state + "|" + e.groups)
		}
		return asks(strings.Repeat("x", 65), "Gateway-Join", "paid", "Gateway-State", "paid")
	}
	eachBackend(t, serve, func(t *testing.T, srv *gatewaytest.Server, log *testutil.LockedBuffer) {
		c := srv.Dial(t)
		c.Send("buy")
		require.Contains(t, c.Receive(), `"message": "Internal server error"`)
		require.Contains(t, log.String(), "the reply: gateway: payload too large: 65 bytes, quota 64")
		c.Send("who")
		require.Equal(t, "|", c.Receive())
		c.Send(`{"action":"oneway"}`)
		c.Send("who")
		require.Equal(t, "paid|paid", c.Receive())
	}, gateway.WithQuotas(gateway.Quotas{MessageBytes: 64}))
}

// Commands of a $connect that refuses are not done and not passed on. If they are malformed
// and it accepts, the client is refused.
func TestAnswerCommands_OnConnect(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		answer said
		status int // of the refusal
		header bool
		opts   []gateway.Option
	}{
		"refused":          {said{403, http.Header{"Gateway-Join": {"a"}, "gateway-x": {"b"}, "X-Why": {"c"}}, "no"}, 403, false, nil},
		"malformed":        {asks("", "Gateway-Join", "a b"), 502, false, nil},
		"above the quota":  {asks("", "Gateway-Join", "a, b"), 502, false, []gateway.Option{gateway.WithQuotas(gateway.Quotas{GroupsPerConnection: 1})}},
		"post without any": {asks("", "Gateway-Post", "self"), 502, false, nil},
		"join, and close":  {asks("", "Gateway-Join", "a", "Gateway-Close", "4401"), 502, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachBackend(t, func(told) said { return row.answer }, func(t *testing.T, srv *gatewaytest.Server, _ *testutil.LockedBuffer) {
				_, refused := srv.TryDial(t)
				require.NotNil(t, refused)
				require.Equal(t, row.status, refused.StatusCode)
				for name := range refused.Header {
					require.NotContains(t, name, "Gateway-")
				}
				if row.status == 403 {
					require.Equal(t, "c", refused.Header.Get("X-Why"))
				}
				n, err := srv.Count(t.Context(), gateway.Group("a"))
				require.NoError(t, err)
				require.Zero(t, n)
			}, row.opts...)
		})
	}
}

// On $disconnect only posts to others can be done.
func TestAnswerCommands_OnDisconnect(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		commands []string
		log      string // "": it is done
	}{
		"post":         {[]string{"Gateway-Post", "everyone; except=self"}, ""},
		"post to self": {[]string{"Gateway-Post", "everyone, self"}, "Gateway-Post: self has closed"},
		"join":         {[]string{"Gateway-Join", "a", "Gateway-Post", "everyone"}, "an answer of $disconnect can only have Gateway-Post"},
		"leave":        {[]string{"Gateway-Leave", "a"}, "can only have Gateway-Post"},
		"state":        {[]string{"Gateway-State", ""}, "can only have Gateway-Post"},
		"close":        {[]string{"Gateway-Close", "4001"}, "can only have Gateway-Post"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			serve := func(e told) said {
				switch e.eventType {
				case "DISCONNECT":
					return asks("left", row.commands...)
				case "MESSAGE":
					return asks("pong")
				}
				return asks("")
			}
			eachBackend(t, serve, func(t *testing.T, srv *gatewaytest.Server, log *testutil.LockedBuffer) {
				leaver, other := srv.Dial(t), srv.Dial(t)
				leaver.Close(1000, "")
				srv.WaitDisconnect(leaver.ConnectionID())
				if row.log == "" {
					require.Equal(t, "left", other.Receive())
					require.NotContains(t, log.String(), "level=ERROR")
					require.NotContains(t, log.String(), "returned a body")
					return
				}
				other.Send("x")
				require.Equal(t, "pong", other.Receive(), "nothing was posted")
				require.Eventually(t, func() bool { return strings.Contains(log.String(), row.log) }, 5*time.Second, time.Millisecond)
			})
		})
	}
}

// An answer that is no success changes nothing, and its body goes where it would go without
// commands. A backend that fails changes nothing either.
func TestAnswerCommands_OnlyOfSuccess(t *testing.T) {
	t.Parallel()
	serve := func(e told) said {
		if e.body == "who" || e.eventType == "CONNECT" {
			return asks(e.state + "|" + e.groups)
		}
		answer := asks("failed", "Gateway-Join", "a", "Gateway-State", "x", "Gateway-Post", "everyone", "Gateway-Close", "4001")
		_, _ = fmt.Sscan(e.body, &answer.status)
		return answer
	}
	eachBackend(t, serve, func(t *testing.T, srv *gatewaytest.Server, log *testutil.LockedBuffer) {
		c, other := srv.Dial(t), srv.Dial(t)
		for _, status := range []string{"302", "404", "500"} {
			c.Send(status)
			require.Equal(t, "failed", c.Receive())
		}
		for _, each := range []*gatewaytest.Client{c, other} {
			each.Send("who")
			require.Equal(t, "|", each.Receive())
		}
		require.NotContains(t, log.String(), "level=ERROR")
	})
}

func TestAnswerCommands_NotOfFailures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.New(t, gateway.WithAnswerCommands())
		answer := &gateway.Response{Header: http.Header{"Gateway-Post": {"everyone"}, "Gateway-State": {"x"}}, Body: []byte("secret")}
		srv.HandleFunc("error", func(context.Context, *gateway.Request) (*gateway.Response, error) { return answer, io.EOF })
		srv.HandleFunc("late", func(context.Context, *gateway.Request) (*gateway.Response, error) {
			time.Sleep(time.Minute) //nolint:forbidigo // longer than the timeout, in a synctest bubble
			return answer, nil
		})
		srv.HandleFunc("$disconnect", func(ctx context.Context, _ *gateway.Request) (*gateway.Response, error) {
			<-ctx.Done()
			return &gateway.Response{Header: http.Header{"Gateway-Post": {"everyone"}}, Body: []byte("secret")}, nil
		})
		c, other, leaver := srv.Dial(t), srv.Dial(t), srv.Dial(t)
		for _, action := range []string{"error", "late"} {
			c.Send(`{"action":"` + action + `"}`)
			require.Contains(t, c.Receive(), `"message": `)
		}
		leaver.Drop()
		_, ok := other.ReceiveWithin(3 * time.Minute)
		require.False(t, ok, "nothing was posted")
		got, err := srv.GetConnection(t.Context(), c.ConnectionID())
		require.NoError(t, err)
		require.Nil(t, got.State)
	})
}

// Each of those that several targets name gets the body once.
func TestAnswerCommands_SeveralTargets(t *testing.T) {
	t.Parallel()
	var to atomic.Value
	serve := func(e told) said {
		switch {
		case e.eventType == "CONNECT":
			return asks("", "Gateway-Join", "a, b")
		case e.eventType == "DISCONNECT" || e.body == "ping":
			return asks("pong")
		}
		return asks("posted", "Gateway-Post", to.Load().(string)) //nolint:forcetypeassert // it is always one
	}
	srv := gatewaytest.New(t, gateway.WithAnswerCommands())
	i := backends()["Go"](t, serve)
	for _, key := range []string{"$connect", "$disconnect"} {
		srv.Handle(key, i)
	}
	srv.Handle("$default", i, gateway.WithRouteResponse())
	one, two, three := srv.Dial(t), srv.Dial(t), srv.Dial(t)
	for _, row := range []struct {
		to   string
		want string // who gets it
	}{
		{"group a, group b", "123"},
		{"group a; except=self, group b; except=self", "23"},
		{"group a; except=self, self", "123"},
		{"self, self", "1"},
		{"connection " + two.ConnectionID() + ", connection gbgHN0-zjQAYKEjhgA%3D%3D, self", "12"},
		{"everyone; except=self; except=" + two.ConnectionID(), "3"},
		{"user nobody, group nobody", ""},
	} {
		to.Store(row.to)
		one.Send("post")
		for n, c := range []*gatewaytest.Client{one, two, three} {
			c.Send("ping")
			if strings.ContainsRune(row.want, rune('1'+n)) {
				require.Equal(t, "posted", c.Receive(), "%d: %s", n+1, row.to)
			}
			require.Equal(t, "pong", c.Receive(), "%d: %s", n+1, row.to)
		}
	}
}

// Observers see such posts as any other. The log tells at debug who did not get them.
func TestAnswerCommands_Undelivered(t *testing.T) {
	t.Parallel()
	failed := make(chan string, 2)
	log := new(testutil.LockedBuffer)
	srv := gatewaytest.New(t, gateway.WithAnswerCommands(), gateway.WithLogger(slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))),
		gateway.WithObserver(&gateway.Observer{PostFailed: func(_ context.Context, id string, bytes int, err error) {
			failed <- fmt.Sprint(id, " ", bytes, " ", err == gateway.ErrGone) //nolint:errorlint // it is exactly that
		}}))
	srv.Handle("$default", respond(&gateway.Response{
		Header: http.Header{"Gateway-Post": {"self, connection gbgHN0-zjQAYKEjhgA=="}}, Body: []byte("hello"),
	}))
	c := srv.Dial(t)
	c.Send("x")
	require.Equal(t, "hello", c.Receive(), "on a one-way route, too")
	c.Send("x")
	c.Receive()
	require.Equal(t, "gbgHN0-zjQAYKEjhgA== 5 true", <-failed)
	require.Contains(t, log.String(), "the body of an answer did not reach everyone")
	require.Contains(t, log.String(), "accepted by 1 connections, refused by 0, 1 gone")
	require.NotContains(t, log.String(), "returned a body")
}

// Without the option, the headers are any headers.
func TestAnswerCommands_Off(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t)
	header := http.Header{"Gateway-Jion": {"a"}, "Gateway-Join": {"a"}, "Gateway-Close": {"4001"}}
	srv.Handle("$default", respond(&gateway.Response{Header: header, Body: []byte("x")}), gateway.WithRouteResponse())
	c := srv.Dial(t)
	for range 2 {
		c.Send("x")
		require.Equal(t, "x", c.Receive())
	}
	srv.Handle("$connect", respond(&gateway.Response{StatusCode: 403, Header: header}))
	_, refused := srv.TryDial(t)
	require.Equal(t, "a", refused.Header.Get("Gateway-Join"))
}

// The log says once for each route that commands are off, and nothing else about a body that was
// not meant for the sender. A header that is no command is none of its business.
func TestAnswerCommands_OffIsLogged(t *testing.T) {
	t.Parallel()
	const warning = `level=WARN msg="the answer of the integration has a command, but commands are off"`
	for name, integration := range backends() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log testutil.LockedBuffer
			srv := gatewaytest.New(t, gateway.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
			asking := integration(t, func(told) said { return asks("x", "Gateway-Post", "everyone", "Gateway-Join", "a") })
			srv.Handle("post", asking)
			srv.Handle("reply", asking, gateway.WithRouteResponse())
			srv.Handle("other", integration(t, func(told) said { return asks("x", "Gateway-Id", "7") }), gateway.WithRouteResponse())
			srv.Handle("$connect", asking)
			c := srv.Dial(t)
			for range 2 {
				c.Send(`{"action":"post"}`)
				c.Send(`{"action":"other"}`)
				require.Equal(t, "x", c.Receive())
				c.Send(`{"action":"reply"}`)
				require.Equal(t, "x", c.Receive())
			}
			for _, route := range []string{"post", "reply", "$connect"} {
				require.Equal(t, 1, strings.Count(log.String(), warning+" route_key="+route), log.String())
			}
			require.Equal(t, 3, strings.Count(log.String(), "level=WARN"))
			require.Contains(t, log.String(), `header=Gateway-Join fix="pass WithAnswerCommands to New; or leave the header out"`)
			require.NotContains(t, log.String(), "returned a body")
		})
	}
}

// A non-proxy integration has the headers that its response parameters map.
func TestAnswerCommands_Transform(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t, gateway.WithAnswerCommands())
	joins := &gateway.CustomIntegration{
		Backend: func(context.Context, *gateway.Request, []byte) (*gateway.Response, error) {
			return &gateway.Response{Header: http.Header{"Gateway-Close": {"4001"}}, Body: []byte(`{"room":"a%20b"}`)}, nil
		},
		Transform: &gateway.Transform{Responses: map[string]gateway.IntegrationResponse{"$default": {
			ResponseParameters: map[string]string{"method.response.header.Gateway-Join": "integration.response.body.room"},
		}}},
	}
	srv.Handle("join", joins, gateway.WithRouteResponse())
	srv.Handle("oneway", joins)
	c := srv.Dial(t)
	c.Send(`{"action":"oneway"}`)
	c.Send(`{"action":"join"}`)
	require.JSONEq(t, `{"room":"a%20b"}`, c.Receive())
	got, err := srv.GetConnection(t.Context(), c.ConnectionID())
	require.NoError(t, err)
	require.Equal(t, []string{"a b"}, got.Groups)
}

// A middleware sees the commands and can change them. It may not fool them with the Request
// that it owns.
func TestAnswerCommands_Middleware(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t, gateway.WithAnswerCommands(), gateway.WithMiddleware(func(next gateway.Integration) gateway.Integration {
		return gateway.IntegrationFunc(func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
			resp, err := next.Invoke(ctx, req)
			*req = gateway.Request{EventType: gateway.EventDisconnect}
			return &gateway.Response{Header: http.Header{"Gateway-State": {"of the middleware"}}, Body: resp.Body}, err
		})
	}))
	srv.Handle("$default", respond(&gateway.Response{Header: http.Header{"Gateway-State": {"x"}}, Body: []byte("y")}), gateway.WithRouteResponse())
	c := srv.Dial(t)
	c.Send("x")
	require.Equal(t, "y", c.Receive())
	got, err := srv.GetConnection(t.Context(), c.ConnectionID())
	require.NoError(t, err)
	require.Equal(t, "of the middleware", string(got.State))
}

// Messages that arrive together are answered together, and still in order: a reply, a post,
// a reply, and the close last. What comes behind the close is not served.
func TestAnswerCommands_InOrder(t *testing.T) {
	t.Parallel()
	var served atomic.Int32
	gw, addr := newBench(t, gateway.WithAnswerCommands())
	gw.HandleFunc("$default", func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
		header := http.Header{}
		switch req.Body[0] {
		case 'p':
			header.Set("Gateway-Post", "self")
		case 'c':
			header.Set("Gateway-Close", "4001 bye")
		case 'x':
			served.Add(1)
		}
		return &gateway.Response{Header: header, Body: req.Body}, nil
	}, gateway.WithRouteResponse())
	for range 20 {
		nc := dialBench(t, addr)
		var batch, want []byte
		for _, text := range []string{"r1", "r2", "p3", "r4", "p5", "p6", "r7", "c8"} {
			batch = append(batch, benchFrame(text)...)
			want = append(append(want, 0x81, 2), text...)
		}
		_, err := nc.Write(append(batch, benchFrame("x9")...))
		require.NoError(t, err)
		want = append(append(want, 0x88, 5, 4001>>8, 4001&0xff), "bye"...)
		got := make([]byte, len(want))
		_, err = io.ReadFull(nc, got)
		require.NoError(t, err)
		require.Equal(t, string(want), string(got))
		_ = nc.Close()
	}
	require.Zero(t, served.Load())
}
