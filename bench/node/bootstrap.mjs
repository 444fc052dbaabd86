// The loop of Lambda's Runtime API. It is smaller than the client in Lambda's own images.
import http from "node:http";
import { handler } from "./function.mjs";

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const agent = new http.Agent({ keepAlive: true });

function call(method, path, body) {
  return new Promise((resolve, reject) => {
    const request = http.request({ host, port, method, path, agent }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (part) => (text += part));
      response.on("end", () => resolve([response.headers, text]));
    });
    request.on("error", reject).end(body);
  });
}

const invocations = "/2018-06-01/runtime/invocation";
for (;;) {
  const [headers, event] = await call("GET", `${invocations}/next`).catch(() => process.exit(0));
  const result = await handler(JSON.parse(event));
  const id = headers["lambda-runtime-aws-request-id"];
  await call("POST", `${invocations}/${id}/response`, JSON.stringify(result));
}
