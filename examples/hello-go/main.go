// A greeting, with what the function can see of where it runs.
//
//	Package it:  CGO_ENABLED=0 go build -tags lambda.norpc -o bootstrap && zip hello.zip bootstrap
//	Deploy it:   aws lambda create-function --function-name hello --runtime provided.al2023 --handler bootstrap \
//	                 --role arn:aws:iam::000000000000:role/hello --zip-file fileb://hello.zip
//	Invoke it:   aws lambda invoke --function-name hello --payload fileb://event.json answer.json
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"runtime"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

type event struct {
	Name string `json:"name"`
}

type answer struct {
	Message               string `json:"message"`
	Function              string `json:"function"`
	Version               string `json:"version"`
	Memory                string `json:"memory"`
	Go                    string `json:"go"`
	Architecture          string `json:"architecture"`
	TaskRoot              string `json:"taskRoot"`
	RemainingMilliseconds int64  `json:"remainingMilliseconds"`
}

func handle(ctx context.Context, event event) (answer, error) {
	if event.Name == "" {
		event.Name = "world"
	}
	if known, ok := lambdacontext.FromContext(ctx); ok {
		log.Printf("greeting %s, request %s", event.Name, known.AwsRequestID)
	}
	deadline, _ := ctx.Deadline()
	return answer{
		Message:               fmt.Sprintf("Hello, %s!", event.Name),
		Function:              lambdacontext.FunctionName,
		Version:               lambdacontext.FunctionVersion,
		Memory:                fmt.Sprintf("%d MB", lambdacontext.MemoryLimitInMB),
		Go:                    runtime.Version(),
		Architecture:          runtime.GOARCH,
		TaskRoot:              os.Getenv("LAMBDA_TASK_ROOT"),
		RemainingMilliseconds: time.Until(deadline).Milliseconds(),
	}, nil
}

func main() {
	lambda.Start(handle)
}
