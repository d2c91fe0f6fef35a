import { Page } from "../../components/page.tsx";

export default function SecretsPage() {
  return <Page title="Secrets">{null}</Page>;
}
