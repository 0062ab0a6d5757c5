package agent

import (
	"context"
	"regexp"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

var validSHA256 = regexp.MustCompile(`^[0-9a-f]{64}$`)

// StageImage implements hostapi.Agent.
func (a *Agent) StageImage(ctx context.Context, req hostapi.StageImageRequest) (hostapi.Image, error) {
	if !validSHA256.MatchString(req.Image.SHA256) {
		return hostapi.Image{}, hostapi.Errorf(hostapi.InvalidArgument, string(kindStageImage), "", "image %s: the checksum is not 64 lower-case hexadecimal digits", req.Image.Name)
	}
	s := a.operations.use(imageSubject(&req))
	defer a.operations.leave(s)
	r := a.stageRequest(req)
	r.id = hostapi.RequestID(ctx)
	o, err := a.operations.submit(s, r)
	if err != nil {
		return hostapi.Image{}, err
	}
	answer := a.operations.wait(ctx, s, o)
	if answer.operation != nil {
		return hostapi.Image{ImageRef: req.Image, Volume: req.Volume, Operation: answer.operation}, nil
	}
	return answer.image, fail(answer.err)
}

func (a *Agent) stageRequest(req hostapi.StageImageRequest) request {
	return request{record: stageImageRecord(req), run: func(ctx context.Context, o *operation) outcome {
		req.Progress = o.progress
		image, err := a.driver.StageImage(ctx, req)
		if err != nil {
			return failed(kindStageImage, err)
		}
		return outcome{image: image}
	}}
}
