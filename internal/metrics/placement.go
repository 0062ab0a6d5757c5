package metrics

// PlacementPlaced is the result of a placement that found a place. Others are the
// reasons why there is none.
const PlacementPlaced = "Placed"

// Placed counts an attempt to place a VM.
func Placed(result string) { standard.placements.WithLabelValues(result).Inc() }
