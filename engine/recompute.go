package engine

import (
	"context"
	"fmt"
)

// recomputeAll is the recompute job: it measures every running experiment from nothing and
// compares with the values that grew bit by bit. A difference is an error of ours. The values
// are left as they are, so that it can be found.
func (e *Engine) recomputeAll(ctx context.Context) (int, error) {
	return e.forEachRunning(ctx, func(ctx context.Context, x *Experiment) (int, error) {
		customers, differences, err := e.store.Recompute(ctx, x)
		if err != nil {
			return 0, err
		}
		if differences > 0 {
			e.log.ErrorContext(ctx, "measures differ from a recomputation", "experiment", x.Key, "differences", differences)
			return customers, fmt.Errorf("%d measures differ from a recomputation", differences)
		}
		return customers, nil
	})
}
