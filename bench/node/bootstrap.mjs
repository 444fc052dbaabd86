// The loop of Lambda's Runtime API, in place of the client that Lambda's own images hold, which is larger.
import http from "node:http";
import { handler } from "./function.mjs";

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const agent = new http.Agent({ keepAlive: true });

function call(method, path, body) {
  return new Promise((resolve, reject) => {
    const sent = http.request({ host, port, method, path, agent }, (answer) => {
      let text = "";
      answer.setEncoding("utf8");
      answer.on("data", (part) => (text += part)).on("end", () => resolve([answer.headers, text]));
    });
    sent.on("error", reject).end(body);
  });
}

for (;;) {
  const [headers, event] = await call("GET", "/2018-06-01/runtime/invocation/next").catch(() => process.exit(0));
  const answer = await handler(JSON.parse(event));
  await call("POST", `/2018-06-01/runtime/invocation/${headers["lambda-runtime-aws-request-id"]}/response`, JSON.stringify(answer));
}
