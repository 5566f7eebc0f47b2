package cli

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// size is a number of bytes as people type it: 512M, 2GiB, 1500000. The
// letters K, M, G and T are powers of 1024, with or without B or iB.
type size int64

func (s *size) Type() string { return "size" }

func (s *size) String() string {
	n := int64(*s)
	for _, unit := range []string{"T", "G", "M", "K"} {
		if one := unitOf(unit); n >= one && n%one == 0 {
			return fmt.Sprintf("%d%s", n/one, unit)
		}
	}
	return strconv.FormatInt(n, 10)
}

func unitOf(letter string) int64 {
	return 1 << (10 * (1 + strings.Index("KMGT", letter)))
}

func (s *size) Set(text string) error {
	t := strings.ToUpper(strings.TrimSpace(text))
	t = strings.TrimSuffix(strings.TrimSuffix(t, "B"), "I")
	one := int64(1)
	if t != "" && strings.Contains("KMGT", t[len(t)-1:]) {
		one, t = unitOf(t[len(t)-1:]), t[:len(t)-1]
	}
	n, err := strconv.ParseFloat(t, 64)
	if err != nil || n < 0 || math.IsNaN(n) || n*float64(one) > math.MaxInt64/2 {
		return errors.New("not a size; type a number of bytes such as 512M or 2G")
	}
	*s = size(n * float64(one))
	return nil
}
