import { Page } from "../../components/page.tsx";

export default function VmsPage() {
  return <Page title="VMs">{null}</Page>;
}
