import { lazy, Suspense, useCallback, useEffect, useState } from "react";
import { Route, Switch, useLocation } from "wouter";
import type { DashboardSession } from "../../src/contract/dashboard.ts";
import { ApiError, get, request, whenSignedOut } from "./api/client.ts";
import { ErrorBoundary } from "./components/error-boundary.tsx";
import { Empty, Loading } from "./components/feedback.tsx";
import { ToastProvider } from "./components/toast.tsx";
import { LoginPage } from "./pages/login/login-page.tsx";
import { OverviewPage } from "./pages/overview/overview-page.tsx";
import { Layout } from "./shell/layout.tsx";

// Each page is loaded when it is gone to: the first one is there at once.
const TasksPage = lazy(() => import("./pages/tasks/tasks-page.tsx"));
const TaskPage = lazy(() => import("./pages/tasks/task-page.tsx"));
const VmsPages = lazy(() => import("./pages/vms/index.tsx"));
const ServersPages = lazy(() => import("./pages/servers/index.tsx"));
const SecretsPage = lazy(() => import("./pages/secrets/index.tsx"));
const AuditPage = lazy(() => import("./pages/audit/index.tsx"));

export function App() {
  const [location] = useLocation();
  const [session, setSession] = useState<DashboardSession | "none" | "asking">("asking");
  const refresh = useCallback(async () => {
    try {
      setSession(await get<DashboardSession>("/v1/session"));
    } catch (error) {
      // A daemon that does not answer has not signed anybody out.
      if (error instanceof ApiError && error.status === 0) setTimeout(refresh, 1_000);
      else setSession("none");
    }
  }, []);
  useEffect(() => {
    whenSignedOut(() => setSession("none"));
    void refresh();
  }, [refresh]);
  const logOut = async () => {
    await request("DELETE", "/v1/session").catch(() => {});
    setSession("none");
  };
  if (session === "asking") return <Loading label="Signing in" />;
  return (
    <ToastProvider>
      {session === "none" ? (
        <LoginPage onLogin={setSession} />
      ) : (
        <Layout user={session.name} onLogout={logOut}>
          <ErrorBoundary place={location}>
            <Suspense fallback={<Loading />}>
              <Switch>
                <Route path="/" component={OverviewPage} />
                <Route path="/login" component={OverviewPage} />
                <Route path="/tasks" component={TasksPage} />
                <Route path="/tasks/:id">{({ id }) => <TaskPage key={id} id={id} />}</Route>
                <Route path="/vms/*?" component={VmsPages} />
                <Route path="/mcp-servers/*?" component={ServersPages} />
                <Route path="/secrets/*?" component={SecretsPage} />
                <Route path="/audit/*?" component={AuditPage} />
                <Route>
                  <Empty title="There is no such page">The address may be mistyped.</Empty>
                </Route>
              </Switch>
            </Suspense>
          </ErrorBoundary>
        </Layout>
      )}
    </ToastProvider>
  );
}
