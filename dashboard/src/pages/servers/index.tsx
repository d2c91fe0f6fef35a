import { Page } from "../../components/page.tsx";

export default function ServersPage() {
  return <Page title="MCP servers">{null}</Page>;
}
