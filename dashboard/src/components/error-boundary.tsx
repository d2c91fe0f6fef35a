import { Component, type ReactNode } from "react";
import { ApiError } from "../api/client.ts";
import { ErrorBox } from "./feedback.tsx";

interface ErrorBoundaryProps {
  /** Another one tries anew: a page that is gone to is not that which failed. */
  place: string;
  children: ReactNode;
}

/** A page that fails is told of in its place; navigation and the other pages stay. */
export class ErrorBoundary extends Component<ErrorBoundaryProps, { error?: Error; place: string }> {
  override state: { error?: Error; place: string } = { place: this.props.place };

  static getDerivedStateFromError(error: Error) {
    return { error };
  }

  static getDerivedStateFromProps({ place }: ErrorBoundaryProps, state: { place: string }) {
    return place === state.place ? null : { place, error: undefined };
  }

  override render() {
    const { error } = this.state;
    if (error === undefined) return this.props.children;
    const shown = new ApiError(0, {
      code: "PAGE",
      message: `this page has failed: ${error.message.slice(0, 300)}`,
      hint: "The daemon is not at fault. Another page, or this one loaded anew, may do.",
    });
    return <ErrorBox error={shown} onRetry={() => this.setState({ error: undefined })} />;
  }
}
