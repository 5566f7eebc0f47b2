package blackbox

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// folder is the directory of saved captures, held to its caps.
type folder struct {
	dir      string
	maxFiles int
	maxBytes int64
	files    []file // as far as known: others may write there too
	bytes    int64
	deleted  uint64
}

type file struct {
	name string
	size int64
	time time.Time
}

// abandoned is how old an unfinished file is before nobody is thought to be
// still writing it.
const abandoned = time.Hour

// openFolder makes the directory if it is missing, and finds out whether
// files can be made there while the user is still looking.
func openFolder(dir string, maxFiles int, maxBytes int64) (*folder, error) {
	f := &folder{dir: dir, maxFiles: maxFiles, maxBytes: maxBytes}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("%s: cannot be made: %w; name a directory that is yours", dir, plain(err))
	}
	probe, err := os.CreateTemp(dir, ".hangup-probe-*")
	if err != nil {
		return nil, fmt.Errorf("%s: no file can be made there: %w; name a directory that is yours", dir, plain(err))
	}
	err = errors.Join(probe.Close(), os.Remove(probe.Name()))
	if err == nil {
		err = f.scan()
	}
	return f, err
}

// plain is the cause without the path and the system call.
func plain(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

// scan finds the files of earlier runs, the oldest first. Only regular files
// with names of our own making count.
func (f *folder) scan() error {
	list, err := os.ReadDir(f.dir)
	if err != nil {
		return fmt.Errorf("%s: cannot be listed: %w", f.dir, plain(err))
	}
	f.files, f.bytes = f.files[:0], 0
	for _, e := range list {
		if !e.Type().IsRegular() || !ours.MatchString(e.Name()) {
			continue
		}
		info, err := e.Info()
		if err != nil {
			continue // gone since
		}
		if filepath.Ext(e.Name()) == unfinished && time.Since(info.ModTime()) < abandoned {
			continue
		}
		f.files = append(f.files, file{e.Name(), info.Size(), info.ModTime()})
		f.bytes += info.Size()
	}
	slices.SortStableFunc(f.files, func(a, b file) int { return cmp.Or(a.time.Compare(b.time), cmp.Compare(a.name, b.name)) })
	return nil
}

// write makes a file, having made room for it. It appears under its name when
// it is complete.
func (f *folder) write(name string, data []byte) error {
	size := int64(len(data))
	if size > f.maxBytes {
		return fmt.Errorf("%s: %d bytes are more than all files together may have (%d)", name, size, f.maxBytes)
	}
	if err := f.makeRoom(size); err != nil {
		return err
	}
	path := filepath.Join(f.dir, name)
	if err := writeNew(path+unfinished, data); err != nil {
		return errors.Join(fmt.Errorf("%s: cannot be written: %w", path, plain(err)), removed(path+unfinished))
	}
	if err := os.Rename(path+unfinished, path); err != nil {
		return errors.Join(fmt.Errorf("%s: %w", path, err), removed(path+unfinished))
	}
	f.drop(name) // the same capture was read before
	f.files = append(f.files, file{name, size, time.Now()})
	f.bytes += size
	return nil
}

// index is where a file is among those known, -1 if it is not.
func (f *folder) index(name string) int {
	return slices.IndexFunc(f.files, func(x file) bool { return x.name == name })
}

func (f *folder) has(name string) bool { return f.index(name) >= 0 }

// drop forgets a file.
func (f *folder) drop(name string) {
	if i := f.index(name); i >= 0 {
		f.bytes -= f.files[i].size
		f.files = slices.Delete(f.files, i, i+1)
	}
}

// remove deletes a file whose place another has taken.
func (f *folder) remove(name string) error {
	f.drop(name)
	if err := removed(filepath.Join(f.dir, name)); err != nil {
		return fmt.Errorf("%s: what a newer file replaces cannot be deleted: %w", filepath.Join(f.dir, name), plain(err))
	}
	return nil
}

// writeNew follows no link that somebody else may have put there.
func writeNew(path string, data []byte) error {
	if err := removed(path); err != nil {
		return err
	}
	w, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	if err == nil {
		err = w.Sync() // or the rename may outlive a crash of the host, and the bytes not
	}
	return errors.Join(err, w.Close())
}

func removed(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// makeRoom deletes the oldest files until one of the given size fits.
func (f *folder) makeRoom(size int64) error {
	fits := func() bool { return len(f.files) < f.maxFiles && f.bytes+size <= f.maxBytes }
	if fits() {
		return nil
	}
	if err := f.scan(); err != nil { // somebody may have tidied up
		return err
	}
	for !fits() {
		oldest := f.files[0]
		if err := removed(filepath.Join(f.dir, oldest.name)); err != nil {
			return fmt.Errorf("%s: the oldest file cannot be deleted to make room: %w", f.dir, plain(err))
		}
		f.files = f.files[1:]
		f.bytes -= oldest.size
		f.deleted++
	}
	return nil
}
