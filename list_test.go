package gateway_test

import (
	"cmp"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/internal/connid"
)

// walk returns the IDs of an audience, page by page. between is called after each page.
func walk(t testing.TB, gw gateway.ConnectionsAPI, of gateway.Audience, limit int, between func()) (ids []string) {
	t.Helper()
	for page := (gateway.Page{Limit: limit}); ; {
		list, next, err := gw.List(t.Context(), of, page)
		require.NoError(t, err)
		if limit > 0 {
			require.LessOrEqual(t, len(list), limit)
		}
		for _, c := range list {
			ids = append(ids, c.ID)
		}
		if next.After == "" {
			return ids
		}
		require.Equal(t, limit, next.Limit)
		require.Len(t, list, cmp.Or(limit, 100))
		require.Equal(t, ids[len(ids)-1], next.After)
		page = next
		between()
	}
}

// Each page size, in each kind of audience, finds every connection once and in the same
// order, also if there are too many to sort them for each page.
func TestList(t *testing.T) {
	t.Parallel()
	gw, ids := newNull(t, 700)
	for n, id := range ids {
		require.NoError(t, gw.Join(t.Context(), id, "all"))
		if n%10 == 0 {
			require.NoError(t, gw.Join(t.Context(), id, "few"))
		}
	}
	slices.SortFunc(ids, connid.Compare)
	few := walk(t, gw, gateway.Group("few"), 1000, func() {})
	require.Len(t, few, 70)
	for _, limit := range []int{0, 1, 7, 350, 699, 700, 701, 1000} {
		t.Run(strconv.Itoa(limit), func(t *testing.T) {
			for _, of := range []gateway.Audience{gateway.Everyone(), gateway.Group("all"), gateway.Connections(ids...)} {
				require.Equal(t, ids, walk(t, gw, of, limit, func() {}))
				require.Equal(t, ids[2:], walk(t, gw, of.Except(ids[0], ids[1]), limit, func() {}))
			}
			require.Equal(t, few, walk(t, gw, gateway.Group("few"), limit, func() {}))
			require.Empty(t, walk(t, gw, gateway.Group("none"), limit, func() {}))
		})
	}
}

// While others come and go, join and leave, a walk still finds each connection that stays
// exactly once.
func TestList_WhileOthersComeAndGo(t *testing.T) {
	t.Parallel()
	gw, stay := newNull(t, 500)
	for _, id := range stay {
		require.NoError(t, gw.Join(t.Context(), id, "room"))
	}
	stop := make(chan struct{})
	var others sync.WaitGroup
	others.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			upgradeNull(gw)
			for c := range gw.Connections() {
				if len(c.Groups) == 0 {
					_ = gw.Join(t.Context(), c.ID, "room")
					_, _ = gw.CloseAll(t.Context(), gateway.Connections(c.ID), 1000, "", gateway.Cut())
				}
			}
		}
	})
	for range 20 {
		for _, of := range []gateway.Audience{gateway.Everyone(), gateway.Group("room")} {
			seen := map[string]int{}
			for _, id := range walk(t, gw, of, 30, func() {}) {
				seen[id]++
			}
			for _, id := range stay {
				require.Equal(t, 1, seen[id])
			}
		}
	}
	close(stop)
	others.Wait()
}

func TestList_Arguments(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t)
	id := srv.Dial(t).ConnectionID()
	for _, tt := range []struct {
		of   gateway.Audience
		page gateway.Page
		says string
	}{
		{gateway.Everyone(), gateway.Page{Limit: 1001}, "limit: it is 1001: use 1 to 1000, or 0 for 100"},
		{gateway.Everyone(), gateway.Page{Limit: -1}, "limit: it is -1"},
		{gateway.Everyone(), gateway.Page{After: "secret"}, "after: it is not a cursor: use Page.After as List returned it"},
		{gateway.Everyone(), gateway.Page{After: id + "="}, "after: "},
		{gateway.User(""), gateway.Page{}, "user: the principal ID is empty: name the user, or use Everyone"},
	} {
		list, next, err := srv.List(t.Context(), tt.of, tt.page)
		require.ErrorIs(t, err, gateway.ErrInvalidArgument)
		require.ErrorContains(t, err, tt.says)
		require.NotContains(t, err.Error(), "secret")
		require.Nil(t, list)
		require.Zero(t, next)
	}
	before, err := srv.GetConnection(t.Context(), id)
	require.NoError(t, err)
	list, _, err := srv.List(t.Context(), gateway.Everyone(), gateway.Page{})
	require.NoError(t, err)
	require.Equal(t, []gateway.Connection{before}, list, "all of GetConnection, and no activity")

	other := connid.New(7)
	list, next, err := srv.List(t.Context(), gateway.Everyone(), gateway.Page{After: other})
	require.NoError(t, err, "the ID of any gateway is a place in the order")
	require.Len(t, list, max(0, connid.Compare(id, other)))
	require.Zero(t, next)
}

// Whatever a cursor is, List refuses it, or returns what comes behind it.
func FuzzList_cursor(f *testing.F) {
	gw, err := gateway.New(gateway.WithQuotas(gateway.Quotas{NewConnections: gateway.Throttle{RateLimit: -1}}))
	require.NoError(f, err)
	f.Cleanup(func() { _ = gw.Close() })
	ids := openNull(f, gw, 300)
	slices.SortFunc(ids, connid.Compare)
	for _, seed := range []string{"", ids[0], ids[299], ids[7] + "=", connid.New(0), "gbgHN0-zjQAYKEjhgA==", "a", "\xff"} {
		f.Add(seed, 10)
	}
	f.Fuzz(func(t *testing.T, after string, limit int) {
		list, next, err := gw.List(t.Context(), gateway.Everyone(), gateway.Page{After: after, Limit: limit})
		if _, issued := connid.Parse(after); after != "" && !issued || limit < 0 || limit > 1000 {
			require.ErrorIs(t, err, gateway.ErrInvalidArgument)
			return
		}
		require.NoError(t, err)
		at := 0
		for after != "" && at < len(ids) && connid.Compare(ids[at], after) <= 0 {
			at++
		}
		want := ids[at:min(len(ids), at+cmp.Or(limit, 100))]
		require.Len(t, list, len(want))
		for n, c := range list {
			require.Equal(t, want[n], c.ID)
		}
		require.Equal(t, next.After != "", at+len(want) < len(ids))
	})
}
