package people

import (
	"encoding/hex"
	"testing"
)

// Vectors of the reference code (veorq/SipHash, vectors.h, vectors_sip128): the key is
// 00 01 … 0f, the text the first bytes of 00 01 02 … 3f.
func TestHashIsSipHash(t *testing.T) {
	key := hashKey{low: 0x0706050403020100, high: 0x0f0e0d0c0b0a0908}
	for _, tt := range []struct {
		length int
		want   string
	}{
		{0, "a3817f04ba25a8e66df67214c7550293"},
		{1, "da87c1d86b99af44347659119b22fc45"},
		{2, "8177228da4a45dc7fca38bdef60affe4"},
		{15, "5493e99933b0a8117e08ec0f97cfc3d9"},
	} {
		text := make([]byte, tt.length)
		for i := range text {
			text[i] = byte(i)
		}
		if got := hex.EncodeToString(key.sum(string(text)).append(nil)); got != tt.want {
			t.Errorf("%d bytes: %s, want %s", tt.length, got, tt.want)
		}
	}
}
