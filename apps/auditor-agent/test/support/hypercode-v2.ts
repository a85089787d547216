import type { Files } from './repository.ts'

/** The first HyperCode in miniature, with everything that its audit of February 2026 found, and what is right around it. */
export const HYPERCODE_V2: Files = {
  'README.md': '# HyperCode V2.0\nCopy `.env.example`; the default `JWT_SECRET=changethis` is for development.\n',
  '.gitignore': '.env\n__pycache__/\n',
  '.env.example': 'JWT_SECRET=\nOPENAI_API_KEY=\nDATABASE_URL=postgresql://user:password@localhost:5432/hypercode\n',
  'hypercode-core/requirements.txt': 'fastapi\nprisma\npydantic-settings\nredis\n',
  'hypercode-core/app/__init__.py': '',
  'hypercode-core/app/core/__init__.py': '',
  'hypercode-core/app/core/config.py': `
    from functools import lru_cache
    from typing import Optional

    from pydantic_settings import BaseSettings


    class Settings(BaseSettings):
        APP_NAME: str = "HyperCode Core"
        ENVIRONMENT: str = "development"
        HYPERCODE_DB_URL: str
        JWT_SECRET: str = "changethis"
        OPENAI_API_KEY: str = "sk-placeholder-key"
        SENTRY_DSN: Optional[str] = None
        ACCESS_TOKEN_EXPIRE_MINUTES: int = 60


    @lru_cache
    def get_settings() -> Settings:
        return Settings()
  `,
  'hypercode-core/app/core/auth.py': `
    from fastapi import Depends, HTTPException, Security, status
    from fastapi.security import OAuth2PasswordBearer, SecurityScopes
    from jose import jwt

    from app.core.config import get_settings

    oauth2_scheme = OAuth2PasswordBearer(tokenUrl="token")


    async def get_current_user(scopes: SecurityScopes, token: str = Depends(oauth2_scheme)):
        payload = jwt.decode(token, get_settings().JWT_SECRET, algorithms=["HS256"])
        if not payload:
            raise HTTPException(status_code=status.HTTP_401_UNAUTHORIZED, detail="Not authenticated")
        return payload


    def require_scopes(wanted: list[str]):
        async def check(user=Depends(get_current_user)):
            if not set(wanted) <= set(user["scopes"]):
                raise HTTPException(status_code=403, detail="Scope missing")
            return user

        return check
  `,
  'hypercode-core/app/core/db.py': `
    from prisma import Prisma

    db = Prisma()
  `,
  'hypercode-core/app/routers/__init__.py': '',
  'hypercode-core/app/routers/agents.py': `
    import logging

    from fastapi import APIRouter, HTTPException

    from app.services.agent_registry import agent_registry

    router = APIRouter()
    logger = logging.getLogger(__name__)


    @router.get("/")
    async def list_agents():
        return await agent_registry.list_agents()


    @router.post("/register")
    async def register_agent(request: AgentRegistrationRequest):
        return await agent_registry.register(request)


    @router.post("/heartbeat")
    async def heartbeat(beat: AgentHeartbeat):
        if not await agent_registry.beat(beat):
            raise HTTPException(status_code=404, detail="Agent not found")
        return {"status": "ok"}


    @router.delete("/{agent_id}")
    async def deregister(agent_id: str):
        await agent_registry.remove(agent_id)
  `,
  'hypercode-core/app/routers/missions.py': `
    from fastapi import APIRouter, Depends

    from app.core.auth import require_scopes

    router = APIRouter(dependencies=[Depends(require_scopes(["mission:write"]))])


    @router.post("/")
    async def create_mission(body: dict):
        return body
  `,
  'hypercode-core/app/services/__init__.py': '',
  'hypercode-core/app/services/agent_registry.py': `
    class AgentRegistry:
        async def list_agents(self):
            return []


    agent_registry = AgentRegistry()
  `,
  'hypercode-core/main.py': `
    import asyncio
    import logging
    from contextlib import asynccontextmanager

    from fastapi import FastAPI

    from app.core.db import db
    from app.routers import agents, missions
    from app.services.agent_registry import agent_registry


    async def sweep_heartbeats():
        while True:
            try:
                await agent_registry.sweep()
            except Exception:
                pass
            await asyncio.sleep(30)


    async def consume_events(bus):
        async for event in bus:
            try:
                await handle(event)
            except Exception:
                pass


    @asynccontextmanager
    async def lifespan(app: FastAPI):
        await db.connect()
        sweeper = asyncio.create_task(sweep_heartbeats())
        logging.info("HyperCode Core started")
        yield
        sweeper.cancel()
        await db.disconnect()


    app = FastAPI(title="HyperCode Core", lifespan=lifespan)
    app.include_router(agents.router, prefix="/agents")
    app.include_router(missions.router, prefix="/missions")


    @app.get("/health")
    async def health():
        return {"status": "healthy"}
  `,
  'agents/base-agent/requirements.txt': 'fastapi\n',
  'agents/base-agent/base_agent.py': `
    from fastapi import FastAPI


    class BaseAgent:
        def __init__(self, name: str):
            self.name = name
            self.app = FastAPI(title=name)

            @self.app.get("/health")
            async def health():
                return {"status": "healthy"}

        async def process_task(self, task):
            raise NotImplementedError
  `,
  'agents/writer-agent/requirements.txt': 'fastapi\n',
  'agents/writer-agent/main.py': `
    from base_agent import BaseAgent


    class WriterAgent(BaseAgent):
        async def process_task(self, task):
            return {"status": "completed"}
  `,
  'agents/coder-agent/requirements.txt': 'aiohttp\n',
  'agents/coder-agent/main.py': `
    import logging

    from aiohttp import web

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logger = logging.getLogger("coder-agent")


    class CoderAgent:
        async def health(self, request):
            return web.json_response({"status": "ok"})

        def run(self):
            app = web.Application()
            app.router.add_get("/health", self.health)
            web.run_app(app, port=8001)
  `,
  'docker-compose.yml': `
    services:
      core:
        build: ./hypercode-core
        environment:
          JWT_SECRET: \${JWT_SECRET:?set it}
          HYPERCODE_DB_URL: \${HYPERCODE_DB_URL:?set it}
  `,
  'hypercode-core/tests/test_agents.py': `
    JWT_SECRET = "changethis"

    def test_register(client):
        try:
            client.post("/agents/register")
        except Exception:
            pass
  `,
}
