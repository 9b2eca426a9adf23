// Starts the runtime interface client, version 3.
import { run } from './aws-lambda-ric/dist/index.mjs';

await run(process.env.LAMBDA_TASK_ROOT ?? '/var/task', process.env._HANDLER);
