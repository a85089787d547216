import type { Rule } from '../rule.ts'

const kind = 'authentication'

export const NO_AUTHENTICATION: Rule = {
  kind,
  id: 'endpoint-without-authentication',
  title: 'A state-changing endpoint has no authentication',
  priority: 'P0',
  confidence: 'high',
  impact: 'Whoever can reach the service can call it and change its state; nothing says who it was.',
  recommendation:
    'Require a verified identity and a scope on the route, or on the router so that nothing below it can be forgotten.',
}

export const NO_WEBSOCKET_AUTHENTICATION: Rule = {
  ...NO_AUTHENTICATION,
  id: 'websocket-without-authentication',
  title: 'A WebSocket accepts anybody',
  priority: 'P1',
  confidence: 'medium',
  impact: 'Whoever can reach the service can read what it sends and send what it acts upon.',
  recommendation:
    'Check a token during the handshake, and close the socket with code 1008 when it is missing or lacks the scope.',
}

export const NO_SIGNATURE: Rule = {
  ...NO_AUTHENTICATION,
  id: 'webhook-without-signature',
  title: 'A webhook does not check who calls it',
  priority: 'P1',
  confidence: 'medium',
  impact: 'Anybody can send events in the name of the provider.',
  recommendation: 'Verify the signature of the provider over the raw body, in constant time, before the event is used.',
}
