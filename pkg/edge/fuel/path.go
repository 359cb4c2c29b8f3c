package fuel

// path is what the code since the last charge weighs: between low and high units, by the way that was taken to get here.
type path struct {
	low, high uint32
	dead      bool // nothing gets here
}

func (p *path) add(weight uint32) {
	p.low += weight
	p.high += weight
}

// join is the path where two meet.
func (p path) join(other path) path {
	switch {
	case p.dead:
		return other
	case other.dead:
		return p
	}
	return path{low: min(p.low, other.low), high: max(p.high, other.high)}
}

// cost is what is charged for a path. Most guests are far nearer to the low end: an interpreter's loop has a hundred
// cases, and the longest is rare. But what is charged is an eighth of the truth at least.
func (p path) cost() uint32 {
	if p.dead {
		return weightCharge
	}
	return weightCharge + max(p.low, p.high/8)
}

// label is a block that is open.
type label struct {
	op    byte // opLoop, opBlock, opIf; 0: the function
	ends  path // of the ways to where a branch to it goes
	other path // where the other arm of an if begins
	paid  int  // where the cost of its head is in the code; -1: it is charged nowhere
}
