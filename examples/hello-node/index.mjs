// A greeting, with what the function can see of where it runs.
//
// Package it:  zip hello.zip index.mjs
// Deploy it:   aws lambda create-function --function-name hello --runtime nodejs22.x --handler index.handler \
//                  --role arn:aws:iam::000000000000:role/hello --zip-file fileb://hello.zip
// Invoke it:   aws lambda invoke --function-name hello --payload fileb://event.json answer.json
export const handler = async (event, context) => {
  const name = event?.name ?? 'world';
  console.log(`greeting ${name}, request ${context.awsRequestId}`);
  return {
    message: `Hello, ${name}!`,
    function: context.functionName,
    version: context.functionVersion,
    memory: `${context.memoryLimitInMB} MB`,
    node: process.versions.node,
    architecture: process.arch,
    remainingMilliseconds: context.getRemainingTimeInMillis(),
  };
};
