package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"hangup/capture/host"
)

// KernelFile is the name of what the kernels said during a recording, beside
// it; the laboratory writes it when asked to.
const KernelFile = "kernel.json"

// Kernel is what the kernels said while a scenario ran, until its captures
// were stopped.
type Kernel struct {
	Lost uint64      `json:"lost"`           // events that were lost in the whole run: above 0, a missing word proves nothing
	Said []string    `json:"said,omitempty"` // what this kernel's events do not tell
	From int64       `json:"from"`           // ns since the epoch
	To   int64       `json:"to"`
	Ends []KernelEnd `json:"ends"`
}

// KernelEnd is what was said of one end of a connection.
type KernelEnd struct {
	Local  string    `json:"local"`
	Remote string    `json:"remote"`
	Word   host.Word `json:"word"`
}

// KernelWords reads what the kernels said during the recording; ok is false if
// nobody listened.
func (r Recording) KernelWords() (k Kernel, ok bool, err error) {
	name := filepath.Join(r.Dir, KernelFile)
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return k, false, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &k)
	}
	if err != nil {
		return k, false, fmt.Errorf("%s: %w", name, err)
	}
	return k, true, nil
}

// Write writes it to a recording's directory, one end a line.
func (k Kernel) Write(dir string) error {
	ends, err := lines(k.Ends)
	if err != nil {
		return err
	}
	k.Ends = nil
	b, err := json.Marshal(k)
	if err != nil {
		return err
	}
	b = append(b[:len(b)-len("null}")], ends...)
	return os.WriteFile(filepath.Join(dir, KernelFile), append(b, "}\n"...), 0o644)
}
