CGO_ENABLED=0 go build -trimpath -tags lambda.norpc -ldflags '-s -w' -o "$STAGE/bootstrap" .
