package servingcert

import (
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// ensureSecret returns valid material as the Secret holds it, and the Secret's
// version. Replicas that race agree by the Secret's resource version: the loser
// of a write throws its own material away and reads the winner's.
func (k *Keeper) ensureSecret(ctx context.Context) (material, string, error) {
	var lost error
	for range conflictLimit {
		secret := &corev1.Secret{}
		err := k.options.Client.Get(ctx, k.options.Secret, secret)
		if client.IgnoreNotFound(err) != nil {
			return material{}, "", fmt.Errorf("reading secret %s: %w", k.options.Secret, err)
		}
		missing := err != nil

		next, changed, err := decodeMaterial(secret.Data).renew(k.options.Clock.Now(), k.names)
		if err != nil {
			return material{}, "", err
		}
		if !changed {
			return next, secret.ResourceVersion, nil
		}
		if lost = k.writeSecret(ctx, secret, missing, next); lost == nil {
			return next, secret.ResourceVersion, nil
		}
		if !apierrors.IsConflict(lost) && !apierrors.IsAlreadyExists(lost) {
			return material{}, "", lost
		}
	}
	return material{}, "", lost
}

func (k *Keeper) writeSecret(ctx context.Context, secret *corev1.Secret, missing bool, m material) error {
	data, err := m.encode()
	if err != nil {
		return err
	}
	if secret.Data == nil {
		secret.Data = map[string][]byte{}
	}
	maps.Copy(secret.Data, data)
	metav1.SetMetaDataLabel(&secret.ObjectMeta, PartOfLabel, PartOf)

	if !missing {
		if err := k.options.Client.Update(ctx, secret, client.FieldOwner(FieldOwner)); err != nil {
			return fmt.Errorf("updating secret %s: %w", k.options.Secret, err)
		}
		return nil
	}
	secret.Name, secret.Namespace, secret.Type = k.options.Secret.Name, k.options.Secret.Namespace, corev1.SecretTypeTLS
	if err := k.options.Client.Create(ctx, secret, client.FieldOwner(FieldOwner)); err != nil {
		return fmt.Errorf("creating secret %s: %w", k.options.Secret, err)
	}
	return nil
}

func (k *Keeper) secretVersion(ctx context.Context) (string, error) {
	secret := &corev1.Secret{}
	if err := k.options.Client.Get(ctx, k.options.Secret, secret); err != nil {
		return "", fmt.Errorf("reading secret %s again: %w", k.options.Secret, err)
	}
	return secret.ResourceVersion, nil
}
