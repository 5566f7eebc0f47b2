package cli

import (
	"sync/atomic"
	"time"
)

// pulse tells other goroutines that a loop still turns.
type pulse struct{ last atomic.Int64 }

func (p *pulse) beat()                { p.last.Store(time.Now().UnixNano()) }
func (p *pulse) since() time.Duration { return time.Duration(time.Now().UnixNano() - p.last.Load()) }
