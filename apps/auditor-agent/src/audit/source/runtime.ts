import type { SourceFile } from './source-file.ts'

/** The file imports something that only a long-running process needs: a web framework, a queue, a bot, a scheduler. */
export function runsAsService(file: SourceFile): boolean {
  if (file.entry.language === 'python') {
    return [...file.pythonImports.packages].some((name) => PYTHON_SERVERS.has(name))
  }
  return [...file.scriptImports.sources].some((source) => SCRIPT_SERVER.test(source))
}

/** The file reads a command line and serves nothing, so what it prints is its answer. */
export function isCommandLine(file: SourceFile): boolean {
  if (runsAsService(file)) return false
  if (file.entry.language === 'python') {
    return [...file.pythonImports.packages].some((name) => PYTHON_COMMAND_LINE.has(name))
  }
  return (
    [...file.scriptImports.sources].some((source) => SCRIPT_COMMAND_LINE.test(source)) ||
    /\bprocess\.argv\b/.test(file.text)
  )
}

const PYTHON_SERVERS = new Set([
  'fastapi',
  'flask',
  'django',
  'rest_framework',
  'aiohttp',
  'starlette',
  'sanic',
  'tornado',
  'quart',
  'litestar',
  'falcon',
  'bottle',
  'uvicorn',
  'gunicorn',
  'hypercorn',
  'grpc',
  'celery',
  'dramatiq',
  'rq',
  'arq',
  'faust',
  'aiokafka',
  'kafka',
  'confluent_kafka',
  'pika',
  'aio_pika',
  'nats',
  'websockets',
  'socketio',
  'discord',
  'slack_bolt',
  'telegram',
  'apscheduler',
])
const PYTHON_COMMAND_LINE = new Set([
  'argparse',
  'click',
  'typer',
  'fire',
  'docopt',
  'optparse',
  'getopt',
  'cmd',
  'rich',
])

const SCRIPT_SERVER =
  /^(fastify|express|koa|hono|@hono\/node-server|@nestjs\/(core|common|microservices)|@hapi\/hapi|restify|polka|h3|(node:)?https?|ws|socket\.io|bullmq|bull|kafkajs|amqplib|@grpc\/grpc-js|apollo-server.*|@apollo\/server|graphql-yoga|nats|discord\.js|@slack\/bolt|telegraf|node-cron|@hypercode\/(base-agent|http))$/
const SCRIPT_COMMAND_LINE =
  /^(commander|yargs|yargs\/.*|cac|meow|inquirer|@inquirer\/.*|@clack\/prompts|prompts|ora|chalk|oclif|@oclif\/.*|citty|sade|minimist|arg|(node:)?readline(\/promises)?)$/
