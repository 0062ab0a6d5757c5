package conditions

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
)

// logChanges tells of what an object has got and of what is wrong with it. What it
// merely waits for is for those who look closely.
func logChanges(ctx context.Context, before, after Object) {
	log := ctrllog.FromContext(ctx)
	for _, is := range after.GetConditions() {
		was := Get(before, is.Type)
		if was != nil && was.Status == is.Status && was.Reason == is.Reason {
			continue
		}
		level := 1
		if is.Status == metav1.ConditionTrue || IsFault(is.Reason) {
			level = 0
		}
		log.V(level).Info("Condition changed", "condition", is.Type, "status", string(is.Status), "reason", is.Reason, "message", is.Message)
	}
}
