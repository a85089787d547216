import { describe, expect, test } from 'vitest'
import { auditKind, describeFinding } from './support/repository.ts'
import type { Files } from './support/repository.ts'

interface Row {
  readonly name: string
  readonly files: Files
  readonly found: readonly string[]
}

const BASE = 'from fastapi import FastAPI\nclass BaseAgent:\n    def __init__(self):\n        self.app = FastAPI()\n'
const ON_BASE = 'from base_agent import BaseAgent\nclass WriterAgent(BaseAgent):\n    pass\n'
const ON_AIOHTTP =
  'from aiohttp import web\nclass CoderAgent:\n    async def run(self):\n        app = web.Application()\n        web.run_app(app)\n'

const ROWS: readonly Row[] = [
  {
    name: 'a base and one agent on aiohttp',
    files: { 'agents/base-agent/agent.py': BASE, 'agents/coder/main.py': ON_AIOHTTP },
    found: ['agent-with-own-runtime P1 high agents/coder/main.py:4'],
  },
  {
    name: 'the odd one of three',
    files: {
      'agents/base-agent/base_agent.py': BASE,
      'agents/writer/main.py': ON_BASE,
      'agents/tester/main.py': ON_BASE.replace('Writer', 'Tester'),
      'agents/coder/main.py': ON_AIOHTTP,
    },
    found: ['agent-with-own-runtime P1 high agents/coder/main.py:4'],
  },
  {
    name: 'an agent that registers itself',
    files: {
      'agents/base-agent/base_agent.py': BASE,
      'agents/coder/main.py':
        'import aiohttp\nclass CoderAgent:\n    async def register(self):\n        await session.post(f"{CORE}/agents/register", json=card)\n',
    },
    found: ['agent-with-own-runtime P1 high agents/coder/main.py:4'],
  },
  {
    name: 'a copy of the base',
    files: {
      'agents/base-agent/base_agent.py': BASE,
      'agents/writer/main.py': ON_BASE,
      'agents/coder/base_agent.py': BASE,
      'agents/coder/main.py': 'from base_agent import BaseAgent\nclass CoderAgent(BaseAgent):\n    pass\n',
    },
    found: ['agent-on-another-base P1 medium agents/coder/base_agent.py:2'],
  },
  {
    name: 'classes in one folder',
    files: {
      'app/agents/base.py': 'class BaseAgent:\n    pass\n',
      'app/agents/writer.py': 'from .base import BaseAgent\nclass WriterAgent(BaseAgent): pass\n',
      'app/agents/coder.py': 'class CoderAgent:\n    def run(self): pass\n',
    },
    found: ['agent-without-base P1 medium app/agents/coder.py:1'],
  },
  {
    name: 'TypeScript: Express among defineAgent',
    files: {
      'apps/writer-agent/src/agent.ts':
        "import { defineAgent } from '@acme/base-agent'\nexport default defineAgent({ name: 'writer' })\n",
      'apps/tester-agent/src/agent.ts':
        "import { defineAgent } from '@acme/base-agent'\nexport default defineAgent({ name: 'tester' })\n",
      'apps/coder-agent/src/server.ts': "import express from 'express'\nconst app = express()\n",
    },
    found: ['agent-with-own-runtime P1 high apps/coder-agent/src/server.ts:2'],
  },
  {
    name: 'TypeScript: another base',
    files: {
      'packages/agent/base-agent.ts': 'export abstract class BaseAgent {}\n',
      'agents/a/agent.ts': "import { BaseAgent } from '@x/agent'\nexport class AAgent extends BaseAgent {}\n",
      'agents/b/agent.ts': "import { BaseAgent } from '@x/agent'\nexport class BAgent extends BaseAgent {}\n",
      'agents/c/agent.ts': "import { LegacyAgent } from '@x/legacy'\nexport class CAgent extends LegacyAgent {}\n",
    },
    found: ['agent-on-another-base P1 medium agents/c/agent.ts:2'],
  },
  {
    name: 'no base at all, different servers',
    files: {
      'agents/a/main.py': 'from fastapi import FastAPI\napp = FastAPI()\n',
      'agents/b/main.py': 'from fastapi import FastAPI\napp = FastAPI()\n',
      'agents/c/main.py': 'from flask import Flask\napp = Flask(__name__)\n',
    },
    found: ['agents-without-shared-base P1 medium agents/c/main.py:2'],
  },
  {
    name: 'no base at all, the same server',
    files: {
      'agents/a/main.py': 'from fastapi import FastAPI\napp = FastAPI()\n',
      'agents/b/main.py': 'from fastapi import FastAPI\napp = FastAPI()\n',
    },
    found: [
      'agents-without-shared-base P1 low agents/a/main.py:2',
      'agents-without-shared-base P1 low agents/b/main.py:2',
    ],
  },

  { name: 'one agent alone', files: { 'agents/coder/main.py': ON_AIOHTTP }, found: [] },
  {
    name: 'one base for all',
    files: {
      'agents/base-agent/base_agent.py': BASE,
      'agents/writer/main.py': ON_BASE,
      'agents/tester/main.py': ON_BASE.replace('Writer', 'Tester'),
    },
    found: [],
  },
  {
    name: 'a base through a class in between',
    files: {
      'agents/base-agent/base_agent.py': BASE,
      'agents/shared/specialist.py': 'from base_agent import BaseAgent\nclass SpecialistAgent(BaseAgent): pass\n',
      'agents/writer/main.py': ON_BASE,
      'agents/coder/main.py':
        'from shared.specialist import SpecialistAgent\nclass CoderAgent(SpecialistAgent): pass\n',
    },
    found: [],
  },
  {
    name: 'an agent that extends the base and has a server besides',
    files: {
      'agents/base-agent/base_agent.py': BASE,
      'agents/coder/main.py':
        'from fastapi import FastAPI\nfrom base_agent import BaseAgent\nclass CoderAgent(BaseAgent): pass\napp = FastAPI()\n',
    },
    found: [],
  },
  {
    name: 'services around agents',
    files: {
      'agents/base-agent/base_agent.py': BASE,
      'agents/writer/main.py': ON_BASE,
      'agents/crew-orchestrator/main.py': 'from flask import Flask\napp = Flask(__name__)\n',
      'apps/agent-registry/src/server.ts': "import Fastify from 'fastify'\nconst app = Fastify()\n",
      'app/routers/agents.py': 'from fastapi import APIRouter\nrouter = APIRouter()\n',
      'app/user_agent.py': 'class UserAgent: pass\n',
    },
    found: [],
  },
  {
    name: 'tests of agents',
    files: {
      'agents/base-agent/base_agent.py': BASE,
      'agents/writer/main.py': ON_BASE,
      'agents/coder/tests/test_main.py': ON_AIOHTTP,
    },
    found: [],
  },
]

describe('agent consistency', () => {
  test.each(ROWS)('$name', async ({ files, found }) => {
    const { findings } = await auditKind('agent-consistency', files)
    expect(findings.map(describeFinding)).toEqual(found)
  })

  test('the title names both sides', async () => {
    const { findings } = await auditKind('agent-consistency', ROWS[0]?.files ?? {})
    expect(findings[0]?.title).toBe(
      'coder runs on aiohttp of its own, the others on BaseAgent of base-agent on FastAPI',
    )
  })
})
