import { Route, Switch } from "wouter";
import { VmPage } from "./detail/vm-page.tsx";
import { VmsPage } from "./list/vms-page.tsx";
import "./vms.css";

export default function VmsPages() {
  return (
    <Switch>
      <Route path="/vms/:vm/:tab?">{({ vm, tab }) => <VmPage key={vm} name={vm} tab={tab ?? "overview"} />}</Route>
      <Route path="/vms" component={VmsPage} />
    </Switch>
  );
}
