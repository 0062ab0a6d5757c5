// Package conditions sets metav1.Conditions on Capstan's objects and writes an
// object's status once per reconcile, with one event per change of reason. That
// somebody else wrote first is tried again in silence. What a condition means is
// not decided here.
package conditions
