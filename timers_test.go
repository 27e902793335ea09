package gateway_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
)

func TestConnection_ServerPings(t *testing.T) {
	t.Parallel()
	t.Run("a client that answers lives on", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			srv := gatewaytest.New(t, gateway.WithQuotas(gateway.Quotas{PingInterval: 30 * time.Second}))
			c := srv.Dial(t)
			start := time.Now()
			code, _ := c.ReceiveClose()
			require.Equal(t, 1001, code, "pings do not count as activity")
			require.Equal(t, 10*time.Minute, time.Since(start))
		})
	})
	t.Run("its pongs count, if the quota says so", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			srv := gatewaytest.New(t, gateway.WithQuotas(gateway.Quotas{PingInterval: 30 * time.Second, PongsResetIdle: true}))
			c := srv.Dial(t)
			start := time.Now()
			code, _ := c.ReceiveClose()
			require.Equal(t, 1001, code)
			require.Equal(t, 2*time.Hour, time.Since(start), "Quotas.ConnectionDuration is the end")
		})
	})
	t.Run("without pings no pong comes", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			srv := gatewaytest.New(t, gateway.WithQuotas(gateway.Quotas{PongsResetIdle: true}))
			c := srv.Dial(t)
			start := time.Now()
			c.ReceiveClose()
			require.Equal(t, 10*time.Minute, time.Since(start))
		})
	})
	t.Run("a peer that is dead is ended", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			srv := gatewaytest.New(t, gateway.WithQuotas(gateway.Quotas{PingInterval: 30 * time.Second, WriteTimeout: -1}))
			srv.HandleFunc("$disconnect", answerNothing)
			c := srv.Dial(t)
			c.Pause()
			start := time.Now()
			e := srv.WaitDisconnect(c.ConnectionID())
			require.Equal(t, 1006, e.DisconnectStatusCode)
			require.Equal(t, time.Minute, time.Since(start))
		})
	})
	t.Run("none by default", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			srv := gatewaytest.New(t, gateway.WithQuotas(gateway.Quotas{IdleTimeout: -1}))
			c := srv.Dial(t)
			c.Pause()             // so it answers no ping
			time.Sleep(time.Hour) //nolint:forbidigo // in a synctest bubble
			_, err := srv.GetConnection(t.Context(), c.ConnectionID())
			require.NoError(t, err)
		})
	})
}

func TestConnection_WhatCountsAsActivity(t *testing.T) {
	t.Parallel()
	minutes := func(n int) time.Duration { return time.Duration(n) * time.Minute }
	for _, tc := range []struct {
		name   string
		quotas gateway.Quotas
		do     func(context.Context, *gatewaytest.Server, *gatewaytest.Client) error
		end    time.Duration
	}{
		{"a message from the client", gateway.Quotas{}, func(_ context.Context, _ *gatewaytest.Server, c *gatewaytest.Client) error {
			c.Send("x")
			return nil
		}, minutes(19)},
		{"a post to the client", gateway.Quotas{}, func(ctx context.Context, srv *gatewaytest.Server, c *gatewaytest.Client) error {
			return srv.PostToConnection(ctx, c.ConnectionID(), nil)
		}, minutes(19)},
		{"not GetConnection", gateway.Quotas{}, func(ctx context.Context, srv *gatewaytest.Server, c *gatewaytest.Client) error {
			_, err := srv.GetConnection(ctx, c.ConnectionID())
			return err
		}, minutes(10)},
		{"not a ping", gateway.Quotas{}, func(_ context.Context, _ *gatewaytest.Server, c *gatewaytest.Client) error {
			c.Ping()
			return nil
		}, minutes(10)},
		{"a ping, if the quota says so", gateway.Quotas{PingsResetIdle: true}, func(_ context.Context, _ *gatewaytest.Server, c *gatewaytest.Client) error {
			c.Ping()
			return nil
		}, minutes(19)},
		{"a text that is answered by itself", gateway.Quotas{}, func(_ context.Context, _ *gatewaytest.Server, c *gatewaytest.Client) error {
			c.Send("ping")
			return nil
		}, minutes(19)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := gatewaytest.New(t, gateway.WithQuotas(tc.quotas), gateway.WithAutoResponse("ping", ""))
				srv.HandleFunc("$default", answerNothing)
				c := srv.Dial(t)
				start := time.Now()
				time.Sleep(9 * time.Minute) //nolint:forbidigo // in a synctest bubble
				require.NoError(t, tc.do(t.Context(), srv, c))
				c.ReceiveClose()
				require.Equal(t, tc.end, time.Since(start))
			})
		})
	}
}
