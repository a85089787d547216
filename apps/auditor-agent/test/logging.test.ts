import { describe, expect, test } from 'vitest'
import { auditKind, describeFinding } from './support/repository.ts'
import type { Files } from './support/repository.ts'

interface Row {
  readonly name: string
  readonly files: Files
  readonly found: readonly string[]
}

const FASTAPI = 'from fastapi import FastAPI\napp = FastAPI()\n'

const ROWS: readonly Row[] = [
  {
    name: 'basicConfig in a service',
    files: { 'app/main.py': `${FASTAPI}import logging\nlogging.basicConfig(level=logging.INFO)\n` },
    found: ['plain-text-logging P1 high app/main.py:4'],
  },
  {
    name: 'basicConfig with a text format, without a server',
    files: { 'app/main.py': "import logging\nlogging.basicConfig(format='%(asctime)s %(message)s')\n" },
    found: ['plain-text-logging P1 medium app/main.py:2'],
  },
  {
    name: 'logging.info with nothing that configures it',
    files: { 'app/main.py': `${FASTAPI}import logging\ndef f():\n    logging.info("x")\n    logging.info("y")\n` },
    found: ['unstructured-logging P1 medium app/main.py:5'],
  },
  {
    name: 'dictConfig with text',
    files: {
      'app/main.py': `${FASTAPI}import logging.config\nlogging.config.dictConfig({"version": 1, "formatters": {"a": {"format": "%(message)s"}}})\n`,
    },
    found: ['plain-text-logging P1 high app/main.py:4'],
  },
  {
    name: 'one service of two',
    files: {
      'core/pyproject.toml': '[project]\nname = "core"\n',
      'core/main.py': `${FASTAPI}import structlog\nlog = structlog.get_logger()\nlog.info("x")\n`,
      'coder/pyproject.toml': '[project]\nname = "coder"\n',
      'coder/main.py': 'import aiohttp\nimport logging\nlogging.basicConfig(level=logging.INFO)\n',
    },
    found: ['plain-text-logging P1 high coder/main.py:3'],
  },
  {
    name: 'print in a service',
    files: {
      'app/main.py': `${FASTAPI}\ndef f():\n    print("here")\n`,
      'app/util.py': 'def g():\n    print("there")\n',
    },
    found: ['print-in-service P2 high app/main.py:5', 'print-in-service P2 medium app/util.py:2'],
  },
  {
    name: 'console in an Express service without a logger',
    files: {
      'src/server.ts':
        "import express from 'express'\nconst app = express()\napp.listen(3000, () => console.log('up'))\n",
    },
    found: ['no-structured-logger P1 medium src/server.ts:3', 'console-in-service P2 high src/server.ts:3'],
  },
  {
    name: 'console beside a logger',
    files: {
      'src/server.ts': "import Fastify from 'fastify'\nconst app = Fastify({ logger: true })\nconsole.error('x')\n",
    },
    found: ['console-in-service P2 high src/server.ts:3'],
  },
  {
    name: 'winston in text',
    files: {
      'src/log.ts':
        "import winston from 'winston'\nexport const log = winston.createLogger({ format: winston.format.simple() })\n",
    },
    found: ['plain-text-logging P1 high src/log.ts:2'],
  },
  {
    name: 'pino-pretty everywhere',
    files: {
      'src/log.ts': "import pino from 'pino'\nexport const log = pino({ transport: { target: 'pino-pretty' } })\n",
    },
    found: ['plain-text-logging P1 medium src/log.ts:2'],
  },
  {
    name: 'morgan',
    files: {
      'src/app.ts':
        "import express from 'express'\nimport morgan from 'morgan'\nimport pino from 'pino'\napp.use(morgan('dev'))\n",
    },
    found: ['plain-text-access-log P2 medium src/app.ts:4'],
  },
  {
    name: 'Nest with its own logger',
    files: {
      'src/main.ts': "import { NestFactory } from '@nestjs/core'\nconst app = await NestFactory.create(AppModule)\n",
    },
    found: ['plain-text-logging P1 medium src/main.ts:2'],
  },

  {
    name: 'the root logger without any framework',
    files: { 'app/main.py': 'import logging\nlogging.info("x")\n' },
    found: ['unstructured-logging P1 low app/main.py:2'],
  },
  {
    name: 'print where only the name says that it is a service',
    files: { 'app/services/mail.py': 'def send():\n    print("sent")\n' },
    found: ['print-in-service P2 low app/services/mail.py:2'],
  },

  {
    name: 'a library with a logger of its own',
    files: { 'lib/a.py': 'import logging\nlog = logging.getLogger(__name__)\nlog.info("x")\n' },
    found: [],
  },
  {
    name: 'structlog beside basicConfig',
    files: {
      'app/main.py': `${FASTAPI}from app.log import configure\nimport logging\nlogging.info("x")\n`,
      'app/log.py':
        'import logging\nimport structlog\nlogging.basicConfig(format="%(message)s")\nstructlog.configure()\n',
    },
    found: [],
  },
  {
    name: 'a JSON formatter of its own',
    files: {
      'app/main.py': `${FASTAPI}import json, logging\nclass JsonFormatter(logging.Formatter):\n    def format(self, record):\n        return json.dumps({"message": record.getMessage()})\nlogging.basicConfig(level=20)\n`,
    },
    found: [],
  },
  {
    name: 'a shared logging module of another folder',
    files: {
      'shared/json_logs.py': 'import structlog\ndef setup():\n    structlog.configure()\n',
      'coder/requirements.txt': 'aiohttp\n',
      'coder/main.py':
        'import aiohttp\nimport logging\nfrom shared.json_logs import setup\nsetup()\nlogging.info("x")\n',
    },
    found: [],
  },
  {
    name: 'python-json-logger',
    files: {
      'app/main.py': `${FASTAPI}import logging\nfrom pythonjsonlogger import jsonlogger\nlogging.basicConfig(handlers=[handler])\n`,
    },
    found: [],
  },
  {
    name: 'print and basicConfig of a command line',
    files: {
      'app/main.py': FASTAPI,
      'app/report.py': 'import argparse, logging\nlogging.basicConfig()\nprint("total")\n',
    },
    found: [],
  },
  {
    name: 'print in the main block',
    files: { 'app/main.py': `${FASTAPI}if __name__ == "__main__":\n    print("starting")\n` },
    found: [],
  },
  {
    name: 'print in scripts and tests',
    files: { 'app/main.py': FASTAPI, 'scripts/x.py': 'print(1)\n', 'tests/test_x.py': 'print(1)\n' },
    found: [],
  },
  { name: 'print in a repository without any service', files: { 'lib/a.py': 'print(1)\n' }, found: [] },
  { name: 'a method called print', files: { 'app/main.py': `${FASTAPI}printer.print("x")\n` }, found: [] },
  {
    name: 'pino-pretty for development only',
    files: {
      'src/log.ts':
        "import pino from 'pino'\nexport const log = pino(isDev ? { transport: { target: 'pino-pretty' } } : {})\n",
    },
    found: [],
  },
  {
    name: 'winston in JSON',
    files: { 'src/log.ts': "import winston from 'winston'\nwinston.createLogger({ format: winston.format.json() })\n" },
    found: [],
  },
  {
    name: 'console of a command line',
    files: {
      'src/server.ts': "import Fastify from 'fastify'\nFastify({ logger: true })\n",
      'src/tool.ts': "import { Command } from 'commander'\nconsole.log('done')\n",
    },
    found: [],
  },
  {
    name: 'console in the browser',
    files: {
      'api/package.json': '{ "name": "api", "dependencies": { "fastify": "5" } }',
      'api/src/server.ts': "import Fastify from 'fastify'\nFastify({ logger: true })\n",
      'web/package.json': '{ "name": "web", "dependencies": { "react": "19", "vite": "8" } }',
      'web/src/main.ts': "console.log('hello')\n",
    },
    found: [],
  },
  {
    name: 'the last words of a process',
    files: {
      'src/server.ts':
        "import Fastify from 'fastify'\nconst app = Fastify({ logger: true })\ntry {\n  await app.listen()\n} catch (error) {\n  console.error(error)\n  process.exit(1)\n}\n",
    },
    found: [],
  },
]

describe('logging', () => {
  test.each(ROWS)('$name', async ({ files, found }) => {
    const { findings } = await auditKind('logging', files)
    expect(findings.map(describeFinding)).toEqual(found)
  })

  test('a file full of prints is cut off', async () => {
    const { findings } = await auditKind('logging', { 'app/main.py': FASTAPI + 'print(1)\n'.repeat(100) })
    expect(findings).toHaveLength(20)
  })
})
