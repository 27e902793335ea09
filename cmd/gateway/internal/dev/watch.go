package dev

import (
	"context"
	"errors"
	"maps"
	"os"
	"time"
)

// watchEvery is how often the files of the definition are looked at.
const watchEvery = 250 * time.Millisecond

// watched are the files of a definition, and how each was when it was seen last.
type watched map[string]stamp

// stamp changes when a file does. The zero value is that of a file that is not there.
type stamp struct {
	size    int64
	written time.Time
}

func stampOf(path string) stamp {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}
	}
	return stamp{info.Size(), info.ModTime()}
}

// add adds files that are not there, as they are now.
func (w watched) add(more watched) {
	for path := range more {
		if _, known := w[path]; !known {
			w[path] = stampOf(path)
		}
	}
}

// look returns the files as they are now.
func (w watched) look() watched {
	now := make(watched, len(w))
	for path := range w {
		now[path] = stampOf(path)
	}
	return now
}

// watch loads the definition again when one of its files has changed, until end has been
// called. end breaks a reload off, and waits for that until its context ends.
func (s *server) watch(ctx context.Context) (end func(context.Context) error) {
	if s.o.File == "" {
		return func(context.Context) error { return nil }
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.watchFiles(ctx)
	}()
	return func(patience context.Context) error {
		cancel()
		select {
		case <-ended:
			return nil
		case <-patience.Done():
			return patience.Err()
		}
	}
}

// watchFiles leaves a file alone that is still being written: it has to look the same twice.
func (s *server) watchFiles(ctx context.Context) {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	loaded := s.files
	before := loaded
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := loaded.look()
		if !maps.Equal(now, loaded) && maps.Equal(now, before) {
			s.reload(ctx)
			now = s.files
			loaded = now
		}
		before = now
	}
}

// reload loads the definition again. A broken one changes nothing.
func (s *server) reload(ctx context.Context) {
	before, stages := s.now, s.dialled("")
	wanted := s.wanted
	err := s.read(ctx)
	if err == nil {
		err = s.losesAll()
	}
	if err == nil {
		err = s.apply(ctx, s.prepare())
	}
	if err != nil {
		s.wanted = wanted
	}
	var broken *FileError
	switch {
	case ctx.Err() != nil: // the program ends
	case errors.As(err, &broken):
		s.print.failure("not reloaded, what ran before still runs:\n%s", broken.Error())
	case err != nil:
		s.print.failure("not reloaded, what ran before still runs: %v", err)
	default:
		s.reloaded(before)
		s.newStages("", stages)
	}
}

// losesAll refuses a definition that has lost all its APIs: that is a slip of the pen, as
// "function:" for "functions:", and it would close every connection.
func (s *server) losesAll() error {
	if s.now == nil || len(s.now.APIs) == 0 || len(s.wanted.APIs) > 0 {
		return nil
	}
	return &FileError{shortPath(s.o.File) + ": the file has no WebSocket API any more: write one, or start this program again if that is what you want"}
}
