package record

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
)

// File is the name of a recording's description within its directory.
const File = "calls.json"

// Load reads all recordings below dir: every directory directly in it that
// holds a calls.json, in order of their names. An unreadable recording is an
// error that names its file; a directory without recordings gives none.
func Load(dir string) ([]Recording, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*", File))
	if err != nil {
		return nil, err
	}
	sort.Strings(files)
	var all []Recording
	for _, f := range files {
		r, err := Read(filepath.Dir(f))
		if err != nil {
			return all, err
		}
		all = append(all, r)
	}
	return all, nil
}

// Read reads the one recording in dir.
func Read(dir string) (Recording, error) {
	var r Recording
	name := filepath.Join(dir, File)
	b, err := os.ReadFile(name)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return r, fmt.Errorf("%s: %w", name, err)
	}
	r.Dir = dir
	return r, nil
}

// Write writes the recording to dir, which must exist. Calls and events take
// a line each: they are what people read and what changes.
func (r Recording) Write(dir string) error {
	calls, err := lines(r.Calls)
	if err != nil {
		return err
	}
	events, err := lines(r.Events)
	if err != nil {
		return err
	}
	r.Calls, r.Events = nil, nil
	b, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	b = bytes.Replace(b, []byte("\n \"events\": null"), append([]byte("\n \"events\": "), events...), 1)
	b = bytes.Replace(b, []byte("\n \"calls\": null"), append([]byte("\n \"calls\": "), calls...), 1)
	return os.WriteFile(filepath.Join(dir, File), append(b, '\n'), 0o644)
}

// lines is list as a JSON array with one element a line.
func lines[T any](list []T) ([]byte, error) {
	out := []byte("[")
	for i, v := range list {
		b, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(out, "\n  "...), b...)
	}
	return append(out, "\n ]"...), nil
}

// Captures lists the capture files of the recording by whose wire they show
// (client, server, router), as paths. The two ends of a loopback share one
// file, listed as the client's.
func (r Recording) Captures() map[string]string {
	m := map[string]string{}
	add := func(side, file string) {
		if file != "" {
			m[side] = filepath.Join(r.Dir, file)
		}
	}
	add(Client, r.Client.Capture)
	if r.Server.Capture != r.Client.Capture {
		add(Server, r.Server.Capture)
	}
	if r.Router != nil {
		add("router", r.Router.Capture)
	}
	return m
}
