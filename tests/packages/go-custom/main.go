// Command bootstrap answers with what it was told, through AWS's Go library.
package main

import (
	"context"
	"os"
	"runtime"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

func handle(ctx context.Context, event map[string]any) (map[string]any, error) {
	lc, _ := lambdacontext.FromContext(ctx)
	_, hasDeadline := ctx.Deadline()
	_, hasExecutionEnv := os.LookupEnv("AWS_EXECUTION_ENV")
	return map[string]any{
		"echo":            event,
		"arn":             lc.InvokedFunctionArn,
		"request":         lc.AwsRequestID,
		"deadline":        hasDeadline,
		"handler":         os.Getenv("_HANDLER"),
		"execution_env":   hasExecutionEnv,
		"operatingSystem": runtime.GOOS,
	}, nil
}

func main() { lambda.Start(handle) }
