package usageplan_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/usageplan"
)

const annsKey = "anns-key-0123456789abcdef"

// anns are the API keys of a plan that only ann has.
var anns = map[string]string{"ann": annsKey}

// Counting takes the same time however many keys there are, also when a period begins.
func TestStore_ManyKeysCountFast(t *testing.T) {
	t.Parallel()
	const many = 50_000
	keys := map[string]string{}
	for n := range many {
		keys[fmt.Sprint(n)] = fmt.Sprintf("%020d", n)
	}
	plans, err := usageplan.New(usageplan.Plan{ID: "p", Quota: usageplan.Quota{Limit: 1, Period: usageplan.Day}, APIKeys: keys})
	require.NoError(t, err)
	start := time.Now()
	for day := range 3 {
		now := time.Date(2026, 11, 1+day, 0, 0, 0, 0, time.UTC)
		for _, value := range keys {
			key, err := plans.FindAPIKey(t.Context(), value)
			if err != nil { // require would take most of the time
				require.NoError(t, err)
			}
			for _, want := range []bool{true, false} {
				if ok, err := key.CountRequest(t.Context(), now); err != nil || ok != want {
					require.NoError(t, err)
					require.Equal(t, want, ok)
				}
			}
		}
	}
	require.Less(t, time.Since(start), 5*time.Second, "it took minutes when each first request of a period looked at all keys")
}

// A period that is over does not begin anew.
func TestStore_LateRequests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // begins on 2000-01-01
		plans, err := usageplan.New(usageplan.Plan{ID: "p", Quota: usageplan.Quota{Limit: 3, Period: usageplan.Day}, APIKeys: anns})
		require.NoError(t, err)
		key, err := plans.FindAPIKey(t.Context(), annsKey)
		require.NoError(t, err)
		count := func(now time.Time) bool {
			ok, err := key.CountRequest(t.Context(), now)
			require.NoError(t, err)
			return ok
		}
		used := func(begin time.Time) int { return plans.Used("p", "ann", begin) }
		day := 24 * time.Hour
		yesterday := time.Now().Truncate(day)
		require.True(t, count(yesterday))
		require.True(t, count(yesterday))
		time.Sleep(day) //nolint:forbidigo // virtual time
		today := yesterday.Add(day)
		require.True(t, count(today))
		require.True(t, count(yesterday), "it came at midnight")
		require.True(t, count(today))
		require.False(t, count(yesterday))
		require.False(t, count(today))
		require.Equal(t, 3, used(today))
		require.Zero(t, used(yesterday))

		ahead := today.Add(3650 * day) // the clock was wrong for a moment
		require.True(t, count(ahead))
		require.True(t, count(today))
		require.Equal(t, 2, used(today), "what was counted meanwhile stays counted")
		require.True(t, count(today))
		require.False(t, count(today))
		require.True(t, count(today.Add(day)), "and the next day is a new one")
	})
}

// Keys that come and go leave no counts behind: those of periods that are long over
// are forgotten. One that comes back within its period finds its own.
func TestStore_ReplaceForgets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		quota := usageplan.Quota{Limit: 3, Period: usageplan.Month}
		keys := map[string]string{}
		for n := range 100 {
			keys[fmt.Sprint(n)] = fmt.Sprintf("%020d", n)
		}
		plans, err := usageplan.New(usageplan.Plan{ID: "p", Quota: quota, APIKeys: keys})
		require.NoError(t, err)
		for _, value := range keys {
			key, err := plans.FindAPIKey(t.Context(), value)
			require.NoError(t, err)
			_, err = key.CountRequest(t.Context(), time.Now())
			require.NoError(t, err)
		}
		begin := quota.Begin(time.Now())
		require.NoError(t, plans.Replace())
		require.Equal(t, 100, plans.Counts())
		require.Equal(t, 1, plans.Used("p", "7", begin))
		time.Sleep(40 * 24 * time.Hour) //nolint:forbidigo // virtual time
		require.NoError(t, plans.Replace())
		require.Zero(t, plans.Counts())
	})
}

func TestQuota_Begin(t *testing.T) {
	t.Parallel()
	at := func(text string) time.Time {
		v, err := time.Parse(time.DateTime, text)
		require.NoError(t, err)
		return v
	}
	for _, tt := range []struct {
		period usageplan.Period
		offset int
		now    string
		want   string
	}{
		{"DAY", 0, "2026-11-21 00:00:00", "2026-11-21 00:00:00"},
		{"DAY", 0, "2026-11-21 23:59:59", "2026-11-21 00:00:00"},
		{"WEEK", 0, "2026-11-21 12:00:00", "2026-11-15 00:00:00"}, // a Saturday
		{"WEEK", 0, "2026-11-22 00:00:00", "2026-11-22 00:00:00"},
		{"WEEK", 1, "2026-11-22 12:00:00", "2026-11-16 00:00:00"},
		{"WEEK", 6, "2026-11-21 12:00:00", "2026-11-21 00:00:00"},
		{"WEEK", 3, "2026-03-01 12:00:00", "2026-02-25 00:00:00"},
		{"MONTH", 0, "2026-11-21 12:00:00", "2026-11-01 00:00:00"},
		{"MONTH", 20, "2026-11-21 00:00:00", "2026-11-21 00:00:00"},
		{"MONTH", 20, "2026-11-20 23:59:59", "2026-10-21 00:00:00"},
		{"MONTH", 27, "2026-01-05 12:00:00", "2025-12-28 00:00:00"},
	} {
		q := usageplan.Quota{Limit: 1, Period: tt.period, Offset: tt.offset}
		require.Equal(t, at(tt.want), q.Begin(at(tt.now)), "%+v", tt)
		require.Equal(t, at(tt.want), q.Begin(at(tt.now).In(time.FixedZone("", -7*3600))), "in UTC, whatever the zone: %+v", tt)
	}
}

// A period contains the time that it was asked for, and begins where it says.
func FuzzQuota_Begin(f *testing.F) {
	f.Add(int64(0), 0, uint8(0), uint8(0))
	f.Add(int64(1709164800), 50400, uint8(1), uint8(6))
	f.Add(int64(-1), -43200, uint8(2), uint8(27))
	f.Fuzz(func(t *testing.T, seconds int64, zone int, period, offset uint8) {
		q := usageplan.Quota{Limit: 1, Period: []usageplan.Period{usageplan.Day, usageplan.Week, usageplan.Month}[period%3]}
		q.Offset = int(offset) % []int{1, 7, 28}[period%3]
		now := time.Unix(seconds%1e10, 0).In(time.FixedZone("", zone%86400))
		begin := q.Begin(now)
		require.False(t, begin.After(now))
		require.LessOrEqual(t, now.Sub(begin), 31*24*time.Hour)
		require.True(t, q.Begin(begin).Equal(begin))
		require.True(t, q.Begin(begin.Add(-1)).Before(begin))
		if q.Period == usageplan.Week {
			require.Equal(t, q.Offset, int(begin.Weekday()))
		}
	})
}

func TestNew_Mistakes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		plans []usageplan.Plan
		says  string
	}{
		{"no ID", []usageplan.Plan{{}}, "has no ID"},
		{"a negative rate", []usageplan.Plan{{ID: "p", Throttle: gateway.Throttle{RateLimit: -1}}}, `usage plan "p": Throttle: RateLimit -1 is negative`},
		{"a negative rate of a route", []usageplan.Plan{{ID: "p", RouteThrottles: map[string]gateway.Throttle{"m": {RateLimit: -1}}}}, `route "m"`},
		{"a negative burst", []usageplan.Plan{{ID: "p", Throttle: gateway.Throttle{RateLimit: 1, BurstLimit: -1}}}, "BurstLimit -1 is negative"},
		{"a huge burst", []usageplan.Plan{{ID: "p", Throttle: gateway.Throttle{RateLimit: 1, BurstLimit: math.MaxInt}}}, "is above 2147483647"},
		{"a route that cannot be", []usageplan.Plan{{ID: "p", RouteThrottles: map[string]gateway.Throttle{"$conect": {RateLimit: 1}}}}, `no route "$conect"`},
		{"a route without a key", []usageplan.Plan{{ID: "p", RouteThrottles: map[string]gateway.Throttle{"": {RateLimit: 1}}}}, "route key is empty"},
		{"a quota of nothing", []usageplan.Plan{{ID: "p", Quota: usageplan.Quota{Period: "DAY"}}}, "1 or more"},
		{"a quota of no period", []usageplan.Plan{{ID: "p", Quota: usageplan.Quota{Limit: 1, Period: "YEAR"}}}, "DAY, WEEK or MONTH"},
		{"an offset beyond the week", []usageplan.Plan{{ID: "p", Quota: usageplan.Quota{Limit: 1, Period: "WEEK", Offset: 7}}}, "set it to 0 to 6"},
		{"a key without ID", []usageplan.Plan{{ID: "p", APIKeys: map[string]string{"": annsKey}}}, "has no ID"},
		{"a key that is short", []usageplan.Plan{{ID: "p", APIKeys: map[string]string{"ann": "short"}}}, "want 20 to 128"},
		{"a key in two plans", []usageplan.Plan{{ID: "p", APIKeys: anns}, {ID: "q", APIKeys: anns}}, "one plan"},
		{"a key of a file, with its line break", []usageplan.Plan{{ID: "p", APIKeys: map[string]string{"ann": annsKey + "\n"}}}, "a blank or a line break"},
		{"a key with a line break in it", []usageplan.Plan{{ID: "p", APIKeys: map[string]string{"ann": annsKey + "\n" + annsKey}}}, "a line break or another control character"},
		{"a key of 10 letters of two bytes", []usageplan.Plan{{ID: "p", APIKeys: map[string]string{"ann": strings.Repeat("ü", 10)}}}, "has 10 characters: want 20 to 128"},
		{"a key with a blank before it", []usageplan.Plan{{ID: "p", APIKeys: map[string]string{"ann": " " + annsKey}}}, "a blank or a line break"},
		{"two plans of one ID", []usageplan.Plan{{ID: "p"}, {ID: "p"}}, "another plan has this ID"},
		{"two keys alike", []usageplan.Plan{{ID: "p", APIKeys: map[string]string{"ann": annsKey, "bob": annsKey}}}, "the value of another"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := usageplan.New(tt.plans...)
			require.ErrorIs(t, err, gateway.ErrInvalidOption)
			require.ErrorContains(t, err, tt.says)
			require.Equal(t, 1, strings.Count(err.Error(), "gateway: "), "%v", err)
			require.NotContains(t, err.Error(), annsKey, "a secret")
		})
	}
}
