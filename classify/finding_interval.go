package classify

import (
	"fmt"
	"math"
	"slices"
)

// pattern is the law that the intervals of a series follow.
type pattern uint8

const (
	noPattern pattern = iota
	constantInterval
	exponentialInterval
)

// fit is what a series of intervals looks like.
type fit struct {
	pattern pattern
	base    int64   // ns: the constant, or the first interval of an exponential
	factor  float64 // by which an exponential grows each time
	jitter  float64 // spread round the law: 0.1 is ±10 %
	cap     int64   // ns: where an exponential stops growing; 0 if it did not
}

const (
	// fitMin is how many intervals it takes: three equal ones are chance
	// once in a while, and an exponential has two free numbers.
	fitMin = 4
	// maxJitter is the widest spread that still counts as a law. Back-off
	// with "equal jitter" draws from half to the whole of the interval (±33 %);
	// "full jitter" from zero to it, which nobody can tell from no law.
	maxJitter = 0.4
	// capMin is how many intervals must be alike to be a cap.
	capMin = 3
	// leastFactor is the least growth that counts as exponential: gRPC uses
	// 1.6, cenkalti/backoff 1.5.
	leastFactor = 1.2
)

// fitIntervals finds the law of intervals (ns, in order): constant,
// exponential with an optional cap, each with jitter, or none. It compares
// what each law leaves unexplained of the logarithms; the one with more free
// numbers must explain much more.
func fitIntervals(list []int64) fit {
	if len(list) < fitMin {
		return fit{}
	}
	logs := make([]float64, len(list))
	for i, d := range list {
		logs[i] = math.Log(float64(max(d, 1)))
	}
	flat := fit{pattern: constantInterval, base: median(list)}
	flat.jitter = flatSpread(logs)
	best, bestErr := flat, flat.jitter
	// Try every place where the growth may have reached a cap.
	for k := fitMin; k <= len(logs); k++ {
		if left := len(logs) - k; left > 0 && left < capMin {
			continue
		}
		slope, first, err := line(logs[:k])
		tail := 0.0
		var limit int64
		if k < len(logs) {
			rest := list[k:]
			limit = median(rest)
			tail = flatSpread(append([]float64{logs[k-1]}, logs[k:]...))
		}
		if math.Exp(slope) < leastFactor || max(err, tail) > bestErr/2 {
			continue
		}
		bestErr = max(err, tail)
		best = fit{exponentialInterval, int64(math.Exp(first)), math.Exp(slope), bestErr, limit}
	}
	if best.jitter > maxJitter {
		return fit{base: flat.base, jitter: flat.jitter}
	}
	return best
}

// flatSpread is half the range of the logarithms, outliers of one in ten
// left out: the jitter round a constant.
func flatSpread(logs []float64) float64 {
	s := slices.Clone(logs)
	slices.Sort(s)
	cut := len(s) / 20
	return (s[len(s)-1-cut] - s[cut]) / 2
}

// line fits a straight line by least squares; err is its largest miss.
func line(y []float64) (slope, first, err float64) {
	n := float64(len(y))
	var sx, sy, sxx, sxy float64
	for i, v := range y {
		x := float64(i)
		sx, sy, sxx, sxy = sx+x, sy+v, sxx+x*x, sxy+x*v
	}
	slope = (n*sxy - sx*sy) / (n*sxx - sx*sx)
	first = (sy - slope*sx) / n
	for i, v := range y {
		err = max(err, math.Abs(v-first-slope*float64(i)))
	}
	return slope, first, err
}

func median(list []int64) int64 {
	s := slices.Clone(list)
	slices.Sort(s)
	return s[len(s)/2]
}

// String completes "the intervals are ...".
func (f fit) String() string {
	j := "without jitter"
	if f.jitter >= 0.02 {
		j = fmt.Sprintf("with a jitter of ±%.0f %%", 100*f.jitter)
	}
	switch f.pattern {
	case constantInterval:
		return fmt.Sprintf("constant, %s, %s", dur(f.base), j)
	case exponentialInterval:
		s := fmt.Sprintf("growing from %s by a factor of %.2g, %s", dur(f.base), f.factor, j)
		if f.cap > 0 {
			s += ", up to " + dur(f.cap)
		}
		return s
	}
	return "irregular, " + dur(f.base) + " in the middle"
}
