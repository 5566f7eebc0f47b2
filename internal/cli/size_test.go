package cli

import "testing"

func TestSize(t *testing.T) {
	for text, want := range map[string]size{
		"0": 0, "1500": 1500, "1k": 1024, "512M": 512 << 20, "512MiB": 512 << 20, "512mb": 512 << 20, "1.5G": 3 << 29, "2T": 2 << 40,
	} {
		var s size
		if err := s.Set(text); err != nil || s != want {
			t.Errorf("%s: %d, %v", text, s, err)
		}
		var again size
		if err := again.Set(s.String()); err != nil || again != s {
			t.Errorf("%s: written %s, read %d, %v", text, s.String(), again, err)
		}
	}
	for _, text := range []string{"", "M", "-1", "1X", "1e300G", "NaN", "12 apples"} {
		if err := new(size).Set(text); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}
