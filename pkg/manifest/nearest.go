package manifest

import (
	"slices"
	"strings"
)

// Nearest returns the candidate that word is most likely a slip of, or "" when none is near enough: at most a third of
// its letters may differ, or it is the beginning of the candidate.
func Nearest(word string, candidates []string) string {
	best, least := "", len(word)/3+1
	for _, c := range slices.Sorted(slices.Values(candidates)) {
		if d := distance(word, c); d <= least && (best == "" || d < least) {
			best, least = c, d
		}
	}
	for _, c := range candidates {
		if best == "" && len(word) > 1 && strings.HasPrefix(c, word) {
			best = c
		}
	}
	return best
}

// distance is the optimal string alignment distance: letters changed, added, left out or swapped with their neighbour.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
