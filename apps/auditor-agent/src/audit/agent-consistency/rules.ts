import type { Rule } from '../rule.ts'

const kind = 'agent-consistency'

export const OWN_RUNTIME: Rule = {
  kind,
  id: 'agent-with-own-runtime',
  title: 'An agent brings its own server instead of the shared base',
  priority: 'P1',
  confidence: 'high',
  impact:
    'What the shared base learns (authentication, heartbeats, retries, logs, shutdown) never reaches this agent, and every fix has to be made twice.',
  recommendation: 'Build the agent on the shared base and keep only its task in this file.',
}

export const WITHOUT_BASE: Rule = {
  ...OWN_RUNTIME,
  id: 'agent-without-base',
  title: 'An agent does not extend the shared base',
  confidence: 'medium',
}

export const OTHER_BASE: Rule = {
  ...OWN_RUNTIME,
  id: 'agent-on-another-base',
  title: 'An agent stands on another base than the others',
  confidence: 'medium',
  recommendation: 'Choose one base for all agents and move what differs into it, or out of it.',
}

export const NO_SHARED_BASE: Rule = {
  ...OWN_RUNTIME,
  id: 'agents-without-shared-base',
  title: 'Agents do not share one base',
  confidence: 'medium',
  recommendation:
    'Extract one base (registration, heartbeats, authentication, logging, shutdown) and let every agent extend it.',
}
