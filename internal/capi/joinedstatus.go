package capi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
)

// joinedStatus is a client for Cluster API's reconcilers, whose patch.Helper sends
// a changed status in two requests: the conditions, bound to a resource version and
// tried again on a conflict, and right after them the rest. It sends the rest
// along with the conditions, and answers the second request from the first one's
// response. Nothing is ever held back: what is written is written no later than
// the reconciler asks for it, and each error goes to the call that it belongs to.
//
// What the rest will be is known from the object that the reconciler read at the
// beginning of its round and gives to the helper at the end; only if all of it
// agrees with what the helper does is anything joined. See docs/adr/0010.
type joinedStatus struct {
	client.Client
	// idOf returns which round of a reconciler a context is of, empty for none.
	idOf func(context.Context) types.UID

	mu     sync.Mutex
	rounds map[types.UID]*round
	// surprised is set once a helper did not do what was expected of it. Nothing
	// is joined from then on.
	surprised bool
}

func newJoinedStatus(inner client.Client, idOf func(context.Context) types.UID) *joinedStatus {
	return &joinedStatus{Client: inner, idOf: idOf, rounds: map[types.UID]*round{}}
}

// joinStatuses returns the client that a reconciler is given.
func joinStatuses(inner client.Client) client.Client {
	return newJoinedStatus(inner, controller.ReconcileIDFromContext)
}

// round is one round of a reconciler.
type round struct {
	// subject is the object that the round is about: what it reads first. Nil if it
	// cannot be told any more which of two copies the round is about.
	subject conditioned
	key     client.ObjectKey
	attempt *attempt
	sent    *sent
}

// attempt is a helper's way to write conditions: it reads the object into a copy
// of what it was before the round's changes, and then writes that.
type attempt struct{ latest, before conditioned }

// sent is a status that was sent along with conditions.
type sent struct {
	rest     []byte
	response client.Object
}

// Get implements client.Client.
func (c *joinedStatus) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	into, ok := obj.(conditioned)
	if !ok {
		return c.Client.Get(ctx, key, obj, opts...)
	}
	var before conditioned
	if into.GetResourceVersion() != "" {
		before, _ = into.DeepCopyObject().(conditioned)
	}
	if err := c.Client.Get(ctx, key, obj, opts...); err != nil {
		return err
	}
	c.read(ctx, key, before, into)
	return nil
}

// read notes what a round has read, and over which state of it.
func (c *joinedStatus) read(ctx context.Context, key client.ObjectKey, before, into conditioned) {
	id := c.idOf(ctx)
	// The end of a round is the end of its context, which has a deadline if it has
	// an end of its own.
	if _, ends := ctx.Deadline(); id == "" || !ends {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	r, known := c.rounds[id]
	switch {
	case c.surprised:
	case !known && before == nil:
		c.rounds[id] = &round{subject: into, key: key}
		context.AfterFunc(ctx, func() { c.end(ctx, id) })
	case !known || r.subject == nil || r.key != key || reflect.TypeOf(r.subject) != reflect.TypeOf(into):
	case before == nil || r.subject == into:
		r.subject, r.attempt = nil, nil
	default:
		r.attempt = &attempt{latest: into, before: before}
	}
}

// end forgets a round. One that was cut short by its deadline says nothing about the
// helper, which did not come to its second request.
func (c *joinedStatus) end(ctx context.Context, id types.UID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.rounds[id]; r != nil && r.sent != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		c.giveUp(ctx, r)
	}
	delete(c.rounds, id)
}

// giveUp is called with the lock held.
func (c *joinedStatus) giveUp(ctx context.Context, r *round) {
	c.surprised = true
	ctrl.LoggerFrom(ctx).Info("Cluster API's patch helper did not send the status that was expected of it; no requests are joined from now on",
		"object", r.key, "expected", string(r.sent.rest))
}

// attempted returns the attempt that a write of latest is the end of, and what the
// round is about.
func (c *joinedStatus) attempted(ctx context.Context, latest client.Object) (a *attempt, subject conditioned) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.rounds[c.idOf(ctx)]
	if c.surprised || r == nil || r.attempt == nil || client.Object(r.attempt.latest) != latest {
		return nil, nil
	}
	a, r.attempt = r.attempt, nil
	return a, r.subject
}

// answered tells whether a patch of a status has been sent already, and if so
// fills in the response.
func (c *joinedStatus) answered(ctx context.Context, obj client.Object, data []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.rounds[c.idOf(ctx)]
	if r == nil || r.sent == nil || r.key != client.ObjectKeyFromObject(obj) || reflect.TypeOf(r.sent.response) != reflect.TypeOf(obj) {
		return false
	}
	if !bytes.Equal(r.sent.rest, data) {
		c.giveUp(ctx, r)
		r.sent = nil
		return false
	}
	reflect.ValueOf(obj).Elem().Set(reflect.ValueOf(r.sent.response).Elem())
	r.sent = nil
	return true
}

func (c *joinedStatus) expect(ctx context.Context, rest []byte, response client.Object) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.rounds[c.idOf(ctx)]; r != nil {
		copied, _ := response.DeepCopyObject().(client.Object)
		r.sent = &sent{rest: rest, response: copied}
	}
}

// Status implements client.Client.
func (c *joinedStatus) Status() client.SubResourceWriter {
	return &statusWriter{SubResourceWriter: c.Client.Status(), client: c}
}

type statusWriter struct {
	client.SubResourceWriter
	client *joinedStatus
}

// Patch implements client.SubResourceWriter.
func (w *statusWriter) Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
	if _, ok := obj.(conditioned); !ok || patch.Type() != types.MergePatchType || len(opts) > 0 {
		return w.SubResourceWriter.Patch(ctx, obj, patch, opts...)
	}
	data, err := patch.Data(obj)
	if err != nil {
		return err
	}
	if w.client.answered(ctx, obj, data) {
		return nil
	}
	conditions := client.RawPatch(types.MergePatchType, data)
	attempt, subject := w.client.attempted(ctx, obj)
	if attempt == nil {
		return w.SubResourceWriter.Patch(ctx, obj, conditions)
	}
	rest, err := attempt.rest(subject)
	if err != nil {
		return err
	}
	joined, ok := join(data, rest)
	if !ok {
		return w.SubResourceWriter.Patch(ctx, obj, conditions)
	}
	err = w.SubResourceWriter.Patch(ctx, obj, client.RawPatch(types.MergePatchType, joined))
	if apierrors.IsInvalid(err) {
		// The conditions alone may well be valid, and the rest has its own error.
		return w.SubResourceWriter.Patch(ctx, obj, conditions)
	}
	if err != nil {
		return err
	}
	w.client.expect(ctx, rest, obj)
	return nil
}

// join puts the rest of a status into a patch of its conditions. There is nothing
// to join if the rest is nil, and it cannot be done if both say something about the
// same field.
func join(conditions, rest []byte) (joined []byte, ok bool) {
	if rest == nil {
		return nil, false
	}
	var into, from map[string]any
	if json.Unmarshal(conditions, &into) != nil || json.Unmarshal(rest, &from) != nil || !merge(into, from) {
		return nil, false
	}
	joined, err := json.Marshal(into)
	return joined, err == nil
}

func merge(into, from map[string]any) bool {
	for key, value := range from {
		present, both := into[key]
		if !both {
			into[key] = value
			continue
		}
		inner, isObject := present.(map[string]any)
		other, otherIsObject := value.(map[string]any)
		if !isObject || !otherIsObject || !merge(inner, other) {
			return false
		}
	}
	return true
}
