import { Route, Switch } from "wouter";
import { ServerPage } from "./detail/server-page.tsx";
import { ServersPage } from "./list/servers-page.tsx";
import "./servers.css";

export default function ServersPages() {
  return (
    <Switch>
      <Route path="/mcp-servers/:server/:tab?">
        {({ server, tab }) => <ServerPage key={server} name={server} tab={tab ?? "tools"} />}
      </Route>
      <Route path="/mcp-servers" component={ServersPage} />
    </Switch>
  );
}
