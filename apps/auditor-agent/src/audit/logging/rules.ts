import type { Rule } from '../rule.ts'

const kind = 'logging'
const IMPACT =
  'Log search and alerts see lines of prose: nobody can filter by service, mission or correlation id, and stack traces fall apart into lines.'

export const PLAIN_TEXT: Rule = {
  kind,
  id: 'plain-text-logging',
  title: 'Logs are written as plain text',
  priority: 'P1',
  confidence: 'high',
  impact: IMPACT,
  recommendation:
    'Write one JSON object per line (structlog, python-json-logger, or a formatter of your own) with service, level and correlation id; keep pretty output for development.',
}

export const UNCONFIGURED: Rule = {
  ...PLAIN_TEXT,
  id: 'unstructured-logging',
  title: 'The service logs, but nothing configures structured output',
  confidence: 'medium',
}

export const PLAIN_SCRIPT: Rule = {
  ...PLAIN_TEXT,
  recommendation:
    'Write JSON in production (pino as it is, winston with format.json()) and choose the pretty form only in development.',
}

export const NO_LOGGER: Rule = {
  ...PLAIN_SCRIPT,
  id: 'no-structured-logger',
  title: 'The service has no logger but console',
  confidence: 'medium',
  recommendation: 'Use a structured logger such as pino, with service, level and correlation id on every line.',
}

export const ACCESS_LOG: Rule = {
  ...PLAIN_SCRIPT,
  id: 'plain-text-access-log',
  title: 'Access logs are written as plain text',
  priority: 'P2',
  confidence: 'medium',
  recommendation:
    'Log requests through the structured logger (pino-http), with status, duration and correlation id as fields.',
}

export const PRINT: Rule = {
  kind,
  id: 'print-in-service',
  title: 'print() in a service',
  priority: 'P2',
  confidence: 'high',
  impact: 'It has no level, no time and no correlation id, and may be buffered away when the process dies.',
  recommendation: 'Use the logger with an event name and fields.',
}

export const CONSOLE: Rule = {
  ...PRINT,
  id: 'console-in-service',
  title: 'console output in a service',
}
