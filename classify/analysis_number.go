package classify

// Renumber gives the connections other IDs, which order them as before; those
// of an [assembler.Parallel] are known at the end only. It may be called once,
// after Finish. Zero is no ID, and stays.
func (a *Analysis) Renumber(id func(uint64) uint64) {
	a.number = id
	for i := range a.kept {
		k := &a.kept[i]
		v := k.verdict
		k.id, v.SameAs, v.LostTo = id(k.id), id(v.SameAs), id(v.LostTo)
	}
	for _, g := range a.digest.list {
		g.FirstID, g.best.id = id(g.FirstID), id(g.best.id)
	}
}
