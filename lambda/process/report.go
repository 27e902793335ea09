package process

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math"
	"os"
	"strconv"
	"strings"
	"time"
)

// reports tells whether the log has Lambda's own lines about each event.
func (f *Function) reports(ctx context.Context) bool {
	return f.cfg.Logger.Enabled(ctx, slog.LevelDebug)
}

// reportStart writes Lambda's line at the beginning of an event.
func (p *process) reportStart(ctx context.Context, inv *invocation) {
	if p.fn.reports(ctx) {
		p.output.report(ctx, "START RequestId: "+inv.id+" Version: "+p.fn.version)
	}
}

// reportEnd writes Lambda's lines at the end of an event. start is how long the process took
// to start, if this was its first event. failure is the type of the error if the process was
// ended, or has ended by itself.
func (p *process) reportEnd(ctx context.Context, inv *invocation, start time.Duration, failure string) {
	f := p.fn
	if !f.reports(ctx) {
		return
	}
	took := time.Since(inv.deadline.Add(-f.cfg.Timeout))
	if failure == timedOut {
		took = f.cfg.Timeout
		p.output.report(ctx, fmt.Sprintf("%s %s Task timed out after %.2f seconds", time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), inv.id, took.Seconds()))
	}
	p.output.report(ctx, "END RequestId: "+inv.id)
	fields := []string{
		"REPORT RequestId: " + inv.id,
		"Duration: " + milliseconds(took) + " ms",
		fmt.Sprintf("Billed Duration: %.0f ms", math.Ceil(float64(took+start)/float64(time.Millisecond))),
		fmt.Sprintf("Memory Size: %d MB", f.cfg.MemoryMB),
	}
	if used := memoryUsed(p.cmd.Process.Pid); used > 0 {
		fields = append(fields, fmt.Sprintf("Max Memory Used: %d MB", used))
	}
	if start > 0 {
		fields = append(fields, "Init Duration: "+milliseconds(start)+" ms")
	}
	switch failure {
	case "":
	case timedOut:
		fields = append(fields, "Status: timeout")
	default:
		fields = append(fields, "Status: error", "Error Type: "+failure)
	}
	p.output.report(ctx, strings.Join(fields, "\t"))
}

// startTime returns how long the process took to start, once: the report of its first event
// has it. The caller holds the lock of the Function.
func (p *process) startTime() time.Duration {
	took := p.startTook
	p.startTook = 0
	return took
}

func milliseconds(d time.Duration) string {
	return strconv.FormatFloat(float64(d)/float64(time.Millisecond), 'f', 2, 64)
}

// memoryUsed returns the most memory that a process has used until now, in MB, or 0 if the
// system does not say it.
func memoryUsed(pid int) int {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0
	}
	_, rest, _ := bytes.Cut(status, []byte("\nVmHWM:"))
	var kilobytes int
	_, _ = fmt.Sscan(string(rest), &kilobytes)
	return (kilobytes + 1023) / 1024
}
