package engine

// DefaultLayer is the layer of experiments that name none. It always exists.
const DefaultLayer LayerKey = "default"

// A Layer splits customers into 10,000 slots; experiments that share a touchpoint own
// disjoint slots of one layer and so exclude each other.
type Layer struct {
	Key  LayerKey
	Salt string
}

// Validate checks the layer's key.
func (l *Layer) Validate() error {
	var v violations
	if !validKey(string(l.Key)) {
		v.add("/key", keyRule)
	}
	return v.err("layer")
}
